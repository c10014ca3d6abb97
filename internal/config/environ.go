package config

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/shlex"
)

// environWordChars are the characters that need no quotes in the environment grammar, besides letters, digits and _.
const environWordChars = "/.+-():"

// environRemark says what is doubtful about an environment that was read.
type environRemark struct {
	code  Code
	level Level
	text  string
}

// parseEnviron reads KEY=value,KEY2="value 2" (contract: config, "environment grammar"): Supervisor 4.4's reading and, where that
// fails, the one before it, with a remark (quirk A5).
func parseEnviron(s string) (map[string]string, []environRemark, error) {
	env, skipped, err := readEnviron(s, true)
	old, oldSkipped, oldErr := readEnviron(s, false)
	var remarks []environRemark
	switch {
	case err != nil && oldErr != nil:
		return nil, nil, &valueError{err.Error(), `write KEY=value,KEY2="value 2": quote values that hold blanks, commas or other special characters`}
	case err != nil:
		env, skipped = old, oldSkipped
		remarks = append(remarks, environRemark{LegacyEnviron, LevelWarn,
			"the environment is only readable by the rules of Supervisor before 4.4 (" + err.Error() + "): quote its values"})
	case oldErr == nil && !maps.Equal(env, old):
		remarks = append(remarks, environRemark{EnvironDiffers, LevelNote,
			"the environment reads differently under Supervisor before 4.4: avoid backslashes and quotes inside values"})
	}
	for _, token := range skipped {
		remarks = append(remarks, environRemark{SkippedToken, LevelWarn,
			repr(token) + " after a value of the environment is ignored: quote the value, and separate values by commas"})
	}
	return env, remarks, nil
}

// readEnviron reads an environment by one of the two tokenisers. After each value one token is skipped, whatever it is (quirk A6);
// those that are no separators are returned.
func readEnviron(s string, posix bool) (env map[string]string, skipped []string, err error) {
	tokens, err := shlex.Lexer{Posix: posix, Comments: true, WordChars: environWordChars}.Tokens(s)
	if err != nil {
		return nil, nil, err
	}
	env = map[string]string{}
	for i := 0; i < len(tokens); i += 4 {
		if i+2 >= len(tokens) || tokens[i+1] != "=" {
			return nil, nil, errors.New("Unexpected end of key/value pairs in value '" + s + "'")
		}
		v := tokens[i+2]
		if !posix {
			v = strings.Trim(v, `'"`)
		}
		env[tokens[i]] = v
		if i+3 < len(tokens) && tokens[i+3] != "," && tokens[i+3] != ";" {
			skipped = append(skipped, tokens[i+3])
		}
	}
	return env, skipped, nil
}

// environList returns the variables sorted by name.
func environList(env map[string]string) []process.Env {
	var out []process.Env
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, process.Env{Key: k, Value: env[k]})
	}
	return out
}
