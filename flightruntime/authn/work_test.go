package authn

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// hashing records the cost of each password hash that an Authenticator computes.
func hashing(t *testing.T, a *Authenticator) (costs *[]int) {
	t.Helper()
	costs = &[]int{}
	a.tools.passwords.matches = func(hash []byte, password string) bool {
		cost, err := bcrypt.Cost(hash)
		if err != nil {
			t.Error(err)
		}
		*costs = append(*costs, cost)
		return matches(hash, password)
	}
	return costs
}

// A name that there is not takes the work of a wrong password, and nothing else takes any of it.
func TestTheWorkOfARefusal(t *testing.T) {
	ec := newECKey(t, "ec")
	a := made(t, Settings{
		Basic:  &Basic{UsersFile: written(t, "users", htpasswd(t, "ada", "love:lace")+htpasswd(t, "bob", "x"))},
		Bearer: &Bearer{TokensFile: written(t, "tokens", "made-once,ada\n")},
		JWT:    []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, KeysFile: written(t, "jwks", keySetOf(t, ec))}},
	}, Options{}, newClock().Now)
	costs := hashing(t, a)
	one := []int{bcrypt.MinCost}
	from := func(peer, name, password string) Credentials {
		return Credentials{Scheme: SchemeBasic, Name: name, Password: password, Peer: peer}
	}
	for name, tt := range map[string]struct {
		sent Credentials
		want []int
	}{
		"a wrong password":           {from("192.0.2.1:1", "ada", "wrong"), one},
		"an unknown user":            {from("192.0.2.2:1", "eve", "wrong"), one},
		"an unknown user of a name":  {from("192.0.2.3:1", "ada ", "love:lace"), one},
		"nobody":                     {from("192.0.2.4:1", "", ""), one},
		"a long password":            {from("192.0.2.5:1", "ada", strings.Repeat("x", maxPassword)), one},
		"a token of nobody's":        {bearerOf("made-up"), nil},
		"a long token":               {bearerOf(strings.Repeat("x", maxToken)), nil},
		"a JWT of another key":       {bearerOf(newECKey(t, "ec").sign(t, claimsOf(nil))), nil},
		"a token made of dots":       {bearerOf(strings.Repeat(".", maxToken)), nil},
		"another scheme":             {Credentials{Scheme: "negotiate", Token: "x"}, nil},
		"nothing":                    {Credentials{}, nil},
		"a name that has been known": {from("192.0.2.6:1", "bob", "y"), one},
	} {
		t.Run(name, func(t *testing.T) {
			*costs = nil
			if _, err := identified(t, a, tt.sent); err == nil {
				t.Fatal("let in")
			}
			if !slices.Equal(*costs, tt.want) {
				t.Errorf("computed hashes of the costs %v, want %v", *costs, tt.want)
			}
		})
	}
	t.Run("too many failures", func(t *testing.T) {
		for range failuresAtOnce {
			_, _ = identified(t, a, from("192.0.2.9:1", "ada", "wrong"))
		}
		*costs = nil
		for range 100 {
			_, err := identified(t, a, from("192.0.2.9:1", "ada", "love:lace"))
			wantRefusal(t, err, flightruntime.ErrUnavailable, "too many logins")
		}
		if *costs != nil {
			t.Errorf("computed hashes of the costs %v, want none", *costs)
		}
	})
}

// What is allocated for somebody who is not known is bounded by what a header may carry, whatever is in it.
func TestAllocationsOfARefusal(t *testing.T) {
	ec := newECKey(t, "ec")
	a := made(t, Settings{
		Bearer: &Bearer{TokensFile: written(t, "tokens", "made-once,ada\n")},
		JWT:    []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, KeysFile: written(t, "jwks", keySetOf(t, ec))}},
	}, Options{}, time.Now)
	long := func(pattern string) string { return strings.Repeat(pattern, maxToken/len(pattern)) }
	big := ec.sign(t, claimsOf(map[string]any{"aud": "others", "x": strings.Repeat("[", maxToken/2)}))
	for name, token := range map[string]string{
		"a word": long("x"), "dots": long("."), "base64": long("QUFB"), "objects": long("eyJhIjp7"), "a signed one": big, "a short one": "x",
	} {
		t.Run(name, func(t *testing.T) {
			const calls, bound = 100, 8 * maxToken
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range calls {
				if _, err := identified(t, a, bearerOf(token)); err == nil {
					t.Fatal("let in")
				}
			}
			runtime.ReadMemStats(&after)
			if per := (after.TotalAlloc - before.TotalAlloc) / calls; per > bound {
				t.Errorf("allocated %d bytes a call, want at most %d", per, bound)
			}
		})
	}
}

// BenchmarkRefusal is what it takes to refuse a wrong password and an unknown user, of the usual cost.
func BenchmarkRefusal(b *testing.B) {
	hash, err := bcrypt.GenerateFromPassword([]byte("love:lace"), 10)
	if err != nil {
		b.Fatal(err)
	}
	a := made(b, Settings{Basic: &Basic{UsersFile: written(b, "users", "ada:"+string(hash)+"\n")}}, Options{}, time.Now)
	peer := 0
	for _, name := range []string{"ada", "eve"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				peer++
				sent := passwordOf(name, "wrong")
				sent.Peer = fmt.Sprintf("10.%d.%d.%d:1", peer>>16, peer>>8&255, peer&255)
				if _, err := identified(b, a, sent); err == nil {
					b.Fatal("let in")
				}
			}
		})
	}
}
