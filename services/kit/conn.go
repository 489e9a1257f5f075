package kit

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// connCount counts the connections to one downstream.
type connCount struct {
	open, inUse atomic.Int64
	opened      prometheus.Counter
}

func newConnCount(downstream string, m *Metrics) *connCount {
	c := &connCount{opened: m.connOpened.WithLabelValues(downstream)}
	gauge := func(name, help string, value func() int64) {
		m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name, Help: help, ConstLabels: prometheus.Labels{"downstream": downstream},
		}, func() float64 { return float64(value()) }))
	}
	gauge("http_client_connections_open", "Connections open.", c.open.Load)
	gauge("http_client_connections_in_use", "Connections that carry a call whose answer is not closed yet.", c.inUse.Load)
	gauge("http_client_connections_idle", "Connections open that carry nothing.", func() int64 {
		return max(0, c.open.Load()-c.inUse.Load()) // two readings: a call may end between them
	})
	return c
}

// dialer opens connections that are counted until they are closed.
func (c *connCount) dialer(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.opened.Inc()
		c.open.Add(1)
		return &countedConn{Conn: conn, count: c}, nil
	}
}

type countedConn struct {
	net.Conn
	count *connCount
	once  sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.count.open.Add(-1) })
	return c.Conn.Close()
}
