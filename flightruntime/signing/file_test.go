package signing

import (
	"strings"
	"testing"
)

func TestGeneratedKeysParse(t *testing.T) {
	file := Generate()
	one, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	both, err := Parse([]byte("# the new one signs\n\n" + string(Generate()) + string(file)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Open(Ticket, one.Sign(Ticket, []byte("t"))); err != nil {
		t.Errorf("the second key of the file is not taken: %v", err)
	}
	if _, err := one.Open(Ticket, both.Sign(Ticket, []byte("t"))); err == nil {
		t.Error("the second key of the file signs")
	}
}

func TestParseRefusesWithoutShowingKeys(t *testing.T) {
	for name, tt := range map[string]struct{ file, want string }{
		"nothing":      {"# no key\n", "no signing key"},
		"no base64":    {"\nsecret!secret!\n", "line 2"},
		"a short key":  {"c2VjcmV0\n", "6 bytes"},
		"an empty one": {"", "no signing key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want an error with %q", err, tt.want)
			}
			for _, key := range []string{"secret", "c2VjcmV0"} {
				if strings.Contains(err.Error(), key) {
					t.Errorf("%q shows a key", err)
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Generate())
	f.Add([]byte("# a\n\nb\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := Parse(raw); (r == nil) == (err == nil) {
			t.Errorf("%v, %v", r, err)
		}
	})
}
