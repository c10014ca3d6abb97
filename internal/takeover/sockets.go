package takeover

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"strings"
)

// socket is what the kernel's tables tell about one.
type socket struct {
	network, address string
	listening        bool
}

// sockets reads the tables of the network that a process is in: inode → socket. Those of other families are missing.
func sockets(pid int) map[uint64]socket {
	all := map[uint64]socket{}
	for _, network := range []string{"tcp", "tcp6", "unix"} {
		data, err := os.ReadFile(procPath(pid, "net/"+network))
		if err != nil {
			continue // a kernel without that family
		}
		for line := range strings.Lines(string(data)) {
			inode, s, ok := parseSocket(network, line)
			if ok {
				all[inode] = s
			}
		}
	}
	return all
}

// parseSocket reads a line of one of the tables.
func parseSocket(network, line string) (inode uint64, s socket, ok bool) {
	f := strings.Fields(line)
	s.network = network
	var number string
	switch {
	case network == "unix" && len(f) >= 7: // Num RefCount Protocol Flags Type St Inode Path
		const accepting = 1 << 16 // __SO_ACCEPTCON
		flags, _ := strconv.ParseUint(f[3], 16, 64)
		s.listening, number = flags&accepting != 0, f[6]
		if len(f) > 7 {
			s.address = bound(strings.Join(f[7:], " "))
		}
	case network != "unix" && len(f) >= 10: // sl local_address rem_address st queues timer retransmit uid timeout inode
		const listen = "0A"
		s.listening, number = f[3] == listen, f[9]
		if s.address, ok = hostPort(f[1]); !ok {
			return 0, s, false
		}
	default:
		return 0, s, false
	}
	inode, err := strconv.ParseUint(number, 10, 64)
	return inode, s, err == nil && inode != 0
}

// bound returns the path by which a socket is reached that says to be bound to a path: Supervisor binds to another, which ends in its pid, and links
// that to the real one.
func bound(path string) string {
	real, ok := strings.CutSuffix(strings.TrimRight(path, "0123456789"), ".")
	if info, err := os.Lstat(real); ok && err == nil && info.Mode()&os.ModeSocket != 0 {
		return real
	}
	return path
}

// hostPort reads an address like 0100007F:1F90, whose words have the machine's order of bytes.
func hostPort(s string) (string, bool) {
	words, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(words)
	n, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(raw) != net.IPv4len && len(raw) != net.IPv6len {
		return "", false
	}
	ip := make(net.IP, 0, len(raw))
	for ; len(raw) > 0; raw = raw[4:] {
		ip = binary.NativeEndian.AppendUint32(ip, binary.BigEndian.Uint32(raw))
	}
	return net.JoinHostPort(ip.String(), strconv.FormatUint(n, 10)), true
}

// reaches reports whether a connected socket is one that a listening one has accepted.
func (s socket) reaches(listening socket) bool {
	if s.network != listening.network || s.listening {
		return false
	}
	if s.network == "unix" {
		return s.address != "" && s.address == listening.address
	}
	_, port, _ := net.SplitHostPort(s.address)
	_, want, _ := net.SplitHostPort(listening.address)
	return port == want
}
