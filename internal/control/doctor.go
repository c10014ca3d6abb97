package control

import "context"

// Examine tells what the daemon's place offers.
type Examine interface {
	// Doctor looks at the kernel, the rights and the limits, as the daemon itself has them.
	Doctor(ctx context.Context) (Doctor, error)
}

// UpgradeSchema is the schema of what gracectl says of an upgrade.
const UpgradeSchema = "graced.upgrade/v1"

// DoctorSchema is the schema of a Doctor.
const DoctorSchema = "graced.doctor/v1"

// Doctor is what the daemon has found out about its place.
type Doctor struct {
	Schema    string `json:"schema,omitempty"`
	DaemonPID int    `json:"daemon_pid"`
	KeeperPID int    `json:"keeper_pid,omitempty"` // of the process that forks, where that is another one
	Kernel    string `json:"kernel"`               // its release
	// Generation counts the daemons of one keeper, and Binary is the program of this one. Failed says why another one did not take over, if this one
	// goes on for that reason.
	Generation int    `json:"generation"`
	Binary     string `json:"binary"`
	Failed     string `json:"failed,omitempty"`
	// KeeperBinary is the program of the keeper. While KeeperChanging it may still become that of the daemon; KeeperFailed says why it did not.
	KeeperBinary   string    `json:"keeper_binary,omitempty"`
	KeeperChanging bool      `json:"keeper_changing,omitempty"`
	KeeperFailed   string    `json:"keeper_failed,omitempty"`
	Features       []Feature `json:"features"`
	Grouped        int       `json:"grouped"`           // processes in control groups of their own
	Lacking        []Lacking `json:"lacking,omitempty"` // processes that lack what their options ask for
	Unknown        []string  `json:"unknown"`           // words of GRACED_DISABLE that are no feature's name
}

// Lacking is a process whose options ask for something that could not be had at its start.
type Lacking struct {
	Name string `json:"name"` // "group:process"
	Text string `json:"text"` // what, and what is done instead
}

// UpgradeRequest names the program of the next daemon; "" = the one that is there now under our name.
type UpgradeRequest struct {
	Binary string `json:"binary"`
}

// Feature is something that a kernel, a container or an administrator may not offer.
type Feature struct {
	Name      string `json:"name"`
	Available bool   `json:"available"`
	Disabled  bool   `json:"disabled,omitempty"` // by GRACED_DISABLE
	Detail    string `json:"detail"`             // a value, or why it is not available
	Use       string `json:"use"`                // what it is for
	Instead   string `json:"instead"`            // what happens without it
}
