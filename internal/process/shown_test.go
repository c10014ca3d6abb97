package process

import "testing"

// TestShownSecrets tells what is a secret from what only looks like one.
func TestShownSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"x --password=hunter2 -v":                 "x --password=••• -v",
		"x --db-password hunter2":                 "x --db-password •••",
		"x -token=hunter2":                        "x -token=•••",
		"x --apiToken 'hunter2'":                  "x --apiToken '•••'",
		`x --token="hunter 2" y`:                  `x --token="•••" y`,
		"x --password=a&b;c -v":                   "x --password=••• -v",
		"env API_KEY=hunter2 x":                   "env API_KEY=••• x",
		"/bin/sh -c 'PGPASSWORD=hunter2 x'":       "/bin/sh -c 'PGPASSWORD=••• x'",
		"http://h/x?a=1&client_secret=hunter":     "http://h/x?a=1&client_secret=•••",
		"http://h/x?token=hunter2&x=1#y":          "http://h/x?token=•••&x=1#y",
		"http://h/x?token=hunter2#y":              "http://h/x?token=•••#y",
		"http://h/x?token=%2fa&secret=b&c=d":      "http://h/x?token=•••&secret=•••&c=d",
		"x --aws-access-key=hunter2":              "x --aws-access-key=•••",
		"x --password= --token=hunter2":           "x --password= --token=•••",
		"x --password-file=/run/x --secret=s":     "x --password-file=/run/x --secret=•••",
		"x --admin-token=hunter2":                 "x --admin-token=•••",
		"x --homepage-token=hunter2":              "x --homepage-token=•••",
		"x postgres://user:hunter2@host/db":       "x postgres://user:•••@host/db",
		"x redis://:hunter2@host":                 "x redis://:•••@host",
		"x --broker=amqp://u:p@h:5672//v":         "x --broker=amqp://u:•••@h:5672//v",
		"x postgresql+psycopg2://u:p:q@h,h2/db":   "x postgresql+psycopg2://u:•••@h,h2/db",
		"x http://u:p@q@h/":                       "x http://u:•••@h/",
		"x http://u:p/w@h/":                       "x http://u:•••@h/",
		"redis://:pw@h,http://h:80/a@b,a://b:c@d": "redis://:•••@h,http://h:80/a@b,a://b:•••@d",
		"x 'mysql://u:p%%40@h' y":                 "x 'mysql://u:•••@h' y",
		"jdbc:mysql://h/d?user=u&password=p&x=y":  "jdbc:mysql://h/d?user=u&password=•••&x=y",
		"x --token=http://u:p@h":                  "x --token=•••",
		"http://u:p@h/?token=x":                   "http://u:•••@h/?token=•••",
		`curl -H "Authorization: Bearer abc" u`:   `curl -H "Authorization: Bearer •••" u`,
		`curl -H 'authorization:Basic dTpw' u`:    `curl -H 'authorization:Basic •••' u`,
		`curl --header="Authorization: abc" u`:    `curl --header="Authorization: •••" u`,
		"curl -HAuthorization:abc u":              "curl -HAuthorization:••• u",
		`curl -H "X-Api-Key: abc" u`:              `curl -H "X-Api-Key: •••" u`,
		`curl -H "PRIVATE-TOKEN: abc" u`:          `curl -H "PRIVATE-TOKEN: •••" u`,
		"x --headers='authorization=Basic abc'":   "x --headers='authorization=Basic •••'",
		"x --pass=é --token=ü -v":                 "x --pass=é --token=••• -v",
		"--token=a --token b":                     "--token=••• --token •••",
	} {
		if got := HideSecrets(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{
		"x --password=%(ENV_PASSWORD)s", "x --password=%(ENV_A)s%(ENV_B)s", "x --password-file=/run/secret", "x --password=/run/secret", "x --password ~/secret",
		"x --password-stdin", "x --password", "x --password --verbose", "x --password -", "x --token-file a", "x --max-tokens=100", "x --tokenizer=bert",
		"x --no-password=true", "x --require-token yes", "sh -c 'x --password=$PASSWORD'", `sh -c 'x --token="${T}"'`, "sh -c 'x --token=$(cat /run/t)'",
		"sh -c 'x --token=`cat t`'", "x --token=<token>", "x --pass=env:X --passphrase=env:X", "x --secret=@/run/s", "reset password now", "print the secret token",
		"x --secretary=anna", "http://h/token/x", "http://h/x?token=%(ENV_T)s", "",
		"http://h/x?page_token=abc", "x --next-token abc", "http://h/x?nextPageToken=abc", "http://h/x?pageToken=abc&nexttoken=b", "x --continuation_token=abc",
		"x --sync.token=abc", "x --max-token=100", "x --eos-token 2", "x --startToken=1",
		"http://host:8080/", "http://host:8080/x@y", "user@host", "x http://user@host/", "ssh://git@host:22/x", "http://%(ENV_X)s@h", "http://u:%(ENV_X)s@h",
		"http://u:$P@h", "sh -c 'x http://u:${P}@h'", "http://u:<password>@h", "http://[::1]:80/a@b", "http://[::1]/a@b", "http://h/?u=a:b@c", "http://u:@h", "http://h:%(ENV_PORT)s/a@b",
		"x $TOKEN", "x %(ENV_PASSWORD)s", "://", "a://", "x http://", "http://a:80,http://b:90/x@y", "unix:///run/x:y@z",
		`curl -H "Authorization: Bearer $TOKEN" u`, `curl -H "Authorization: Bearer %(ENV_T)s" u`, `curl -H "Authorization: Bearer" u`, `curl -H "Authorization:" u`,
		"x --authorization=required", "x --authorization=rbac", "x --authorization-mode=RBAC", "echo Authorization: required", `curl -H "Accept: text/html" -H "X-Key-Id: 5" u`,
		"x --key: y", "x --sort-key=name", "x --keyring=a",
	} {
		if got := HideSecrets(text); got != text {
			t.Errorf("%q: %q is hidden", text, got)
		}
	}
}

// TestShownSecretsPlaces: the name of a secret is said with it, and of a URL the password.
func TestShownSecretsPlaces(t *testing.T) {
	for text, want := range map[string][2]string{
		"x --db-password=hunter2": {"--db-password", "hunter2"}, "x --token 'a b'": {"--token", "a b"}, "http://h/?token=a&b": {"token", "a"},
		"x http://u:p@h": {"p", "p"}, "x -H 'Authorization: Bearer abc'": {"Authorization", "abc"},
	} {
		s := ShownSecrets(text)
		if len(s) != 1 || text[s[0].From:s[0].To] != want[0] || text[s[0].Start:s[0].End] != want[1] {
			t.Errorf("%s: %+v", text, s)
		}
	}
}
