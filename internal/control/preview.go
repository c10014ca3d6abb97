package control

// PreviewRequest names a verb and what it is about.
type PreviewRequest struct {
	Verb string `json:"verb"`           // add, remove, grace_update, signal, reload, start, stop, restart
	Name string `json:"name,omitempty"` // a group; with signal, the signal; with reload, start, stop and restart nothing
	// Names are with start, stop and restart those of an ActRequest.
	Names []string `json:"names,omitempty"`
}

// PreviewSchema is the schema of a Preview.
const PreviewSchema = "graced.preview/v1"

// Preview is what a verb would do now. All names are "group:process".
type Preview struct {
	Schema  string   `json:"schema,omitempty"`
	Group   string   `json:"group,omitempty"`
	Start   []string `json:"start"`
	Add     []string `json:"add"` // without a start
	Stop    []string `json:"stop"`
	Remove  []string `json:"remove"`
	Refused bool     `json:"refused,omitempty"` // with grace_update, as are Message and Fields of a GraceResult
	Message string   `json:"message,omitempty"`
	Fields  []string `json:"fields,omitempty"`

	// Summoned would be started by start and restart besides those that are named: they depend on them. Vain could not be started because of that.
	Summoned []Summoned `json:"summoned,omitempty"`
	Vain     []Vain     `json:"vain,omitempty"`
	// Dependents run, depend on what stop names, and go on running without it.
	Dependents []Dependent `json:"dependents,omitempty"`
}

// Summoned is a process that is started for the sake of another one.
type Summoned struct {
	Process string `json:"process"`
	For     string `json:"for"`
}

// Vain is a process that cannot be started because of what it depends on.
type Vain struct {
	Process string `json:"process"`
	Text    string `json:"text"` // "depends on db, which was stopped on request"
}

// Dependent is a process that depends on another one.
type Dependent struct {
	Process string `json:"process"`
	On      string `json:"on"`
}
