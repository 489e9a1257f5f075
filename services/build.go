package services

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"

	billingservice "github.com/captest/captest/services/billing-service"
	instanceservice "github.com/captest/captest/services/instance-service"
	killbill "github.com/captest/captest/services/kill-bill"
	"github.com/captest/captest/services/kit"
	userservice "github.com/captest/captest/services/user-service"
)

// running is a service ready to be served.
type running struct {
	handler   http.Handler
	loops     *kit.Loops                               // nil for Kill Bill's stand-in, as are the next two
	accepting func(net.Listener) (net.Listener, error) // prepares the socket
	drain     func()
	close     func() error
}

// build makes the service that the options name.
func build(ctx context.Context, o Options, set settings, log *slog.Logger) (*running, error) {
	switch o.Service {
	case "user":
		url, err := o.downstream("billing")
		if err != nil {
			return nil, err
		}
		s, err := userservice.New(ctx, userservice.Config{Dir: o.Dir, Store: o.Store, Billing: url, Knobs: set.kit(), Log: log})
		return wrap(s, err)
	case "billing":
		url, err := o.downstream("kill-bill")
		if err != nil {
			return nil, err
		}
		s, err := billingservice.New(ctx, billingservice.Config{
			Dir: o.Dir, Store: o.Store, KillBill: url, Access: o.KillBill, Knobs: set.kit(), Log: log,
		})
		return wrap(s, err)
	case "instance":
		url, err := o.downstream("billing")
		if err != nil {
			return nil, err
		}
		s, err := instanceservice.New(ctx, instanceservice.Config{Dir: o.Dir, Store: o.Store, Billing: url, Knobs: set.kit(), Log: log})
		return wrap(s, err)
	case "kill-bill":
		c := set.killBill()
		c.Dir, c.Store, c.Log = o.Dir, o.Store, log
		c.User, c.Password, c.APIKey, c.APISecret = o.KillBill.User, o.KillBill.Password, o.KillBill.APIKey, o.KillBill.APISecret
		s, err := killbill.New(c)
		if err != nil {
			return nil, err
		}
		return &running{handler: s.Handler(), close: s.Close}, nil
	default:
		return nil, fmt.Errorf("service %q: no such service", o.Service)
	}
}

func wrap(s interface {
	App() *kit.App
	Handler() http.Handler
	Close() error
}, err error,
) (*running, error) {
	if err != nil {
		return nil, err
	}
	app := s.App()
	return &running{handler: s.Handler(), loops: app.Loops(), accepting: app.Accepting, drain: app.Drain, close: s.Close}, nil
}

func (o Options) downstream(name string) (string, error) {
	if url := o.Downstream[name]; url != "" {
		return url, nil
	}
	return "", fmt.Errorf("%s: no URL for its downstream %s", o.Service, name)
}

func sortedNames(s settings) []string { return slices.Sorted(maps.Keys(s)) }
