package plan

import "testing"

func TestMask(t *testing.T) {
	for _, c := range []struct {
		variable, value, want string
		hidden                bool
	}{
		{"DB_POOL", "10", "10", false},
		{"API_TOKEN", "x", Hidden, true},
		{"api_key", "x", Hidden, true},
		{"API_KEY", "", "", true},
		{"", "curl http://u:p@h/x", "curl http://u:" + Hidden + "@h/x", true},
		{"URL", "amqp://u:p@q:5672 redis://:pw@h,http://h:80/a@b", "amqp://u:" + Hidden + "@q:5672 redis://:" + Hidden + "@h,http://h:80/a@b", true},
		{"URL", "http://u@h", "http://u@h", false},
		{"", "x --password=p -v", "x --password=" + Hidden + " -v", true},
		{"", "http://h/?token=p&a=1&page_token=q", "http://h/?token=" + Hidden + "&a=1&page_token=q", true},
		{"", "curl -H 'Authorization: Bearer p' u", "curl -H 'Authorization: Bearer " + Hidden + "' u", true},
	} {
		before, after, hidden := Difference{Option: "environment", Variable: c.variable, Old: c.value, New: "n"}.Mask()
		if before != c.want || hidden != c.hidden || !c.hidden && after != "n" {
			t.Errorf("%s=%s: %q, %v, want %q, %v", c.variable, c.value, before, hidden, c.want, c.hidden)
		}
	}
}
