package control

// PreviewRequest names a verb and what it is about.
type PreviewRequest struct {
	Verb string `json:"verb"`           // add, remove, grace_update, signal, reload
	Name string `json:"name,omitempty"` // a group; with signal, the signal; with reload nothing
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
}
