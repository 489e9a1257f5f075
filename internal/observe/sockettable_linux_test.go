package observe

import (
	"net"
	"net/netip"
	"testing"
)

func TestParseSocket(t *testing.T) {
	for _, tt := range []struct {
		line string
		want socket
		ok   bool
	}{
		{
			"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000  1000        0 4242 1 0000000000000000 100 0 0 10 0\n",
			socket{local: netip.MustParseAddr("127.0.0.1"), localPort: 8080, state: listening, queue: 3, inode: 4242},
			true,
		},
		{
			"  12: 0100007F:C350 0100007F:1F90 01 00000010:00000020 02:000AFE8D 00000000     0        0 77 2 0000000000000000 20 4 30 10 -1\n",
			socket{localPort: 50000, remotePort: 8080, state: 1, queue: 32, inode: 77},
			true,
		},
		{
			"   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5 1 0 100 0 0 10 0\n",
			socket{local: netip.MustParseAddr("::1"), localPort: 8080, state: listening, inode: 5},
			true,
		},
		{
			"   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5 1 0 100 0 0 10 0\n",
			socket{local: netip.MustParseAddr("127.0.0.1"), localPort: 8080, state: listening, inode: 5},
			true,
		},
		{"", socket{}, false},
		{"garbage\n", socket{}, false},
		{"   0: 0100007F:1F90 00000000:0000 0A 00000000 00:00000000 00000000  1000        0 4242 1\n", socket{}, false},
		{"   0: 0100007F:XX 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1\n", socket{}, false},
		{"   0: 01007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1\n", socket{}, false},
	} {
		got, ok := parseSocket([]byte(tt.line))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: %+v %v, want %+v", tt.line, got, ok, tt.want)
		}
	}
}

// A table of any length costs no memory the second time but that of opening its files.
func TestTheSocketTableIsReadInPlace(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 200 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	var table socketTable
	all, err := table.read()
	if err != nil || len(all) < 400 {
		t.Fatalf("%d sockets, %v", len(all), err)
	}
	if n := testing.AllocsPerRun(5, func() { _, _ = table.read() }); n > 100 {
		t.Errorf("%v allocations for %d sockets", n, len(all))
	}
}
