package observe

import (
	"bytes"
	"os"
	"strconv"
)

// Descriptors of this process: how many are open, and how many may be; 0 is unknown.
func Descriptors() (open, limit int) {
	if n := openDescriptors(); n != nil {
		open = int(*n)
	}
	if n := descriptorLimit(); n != nil {
		limit = int(min(*n, 1<<31-1)) // infinity is far beyond
	}
	return open, limit
}

// LocalPorts is how many ports the system hands out for outgoing connections of one address to one other; 0 is unknown.
func LocalPorts() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	return portsOf(text)
}

// portsOf reads "32768	60999": both ends are handed out.
func portsOf(text []byte) int {
	fields := bytes.Fields(text)
	if len(fields) != 2 {
		return 0
	}
	low, err1 := strconv.ParseUint(string(fields[0]), 10, 16)
	high, err2 := strconv.ParseUint(string(fields[1]), 10, 16)
	if err1 != nil || err2 != nil || high < low {
		return 0
	}
	return int(high-low) + 1
}
