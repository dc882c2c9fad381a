package authn

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	hashOfSecret = "$2y$05$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
	costlyHash   = "$2y$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
)

func TestUsersFile(t *testing.T) {
	for name, tt := range map[string]struct {
		users, groups string
		want          map[string][]string // groups by user
		problem       string
	}{
		"users":                       {users: "ada:" + hashOfSecret + "\nbob:" + costlyHash + "\n", want: map[string][]string{"ada": nil, "bob": nil}},
		"no user":                     {users: "", want: map[string][]string{}},
		"comments, empty lines, CRLF": {users: "# us\r\n\r\nada:" + hashOfSecret + "\r\n", want: map[string][]string{"ada": nil}},
		"the last line is not ended":  {users: "ada:" + hashOfSecret, want: map[string][]string{"ada": nil}},
		"names with spaces":           {users: "Ada Lovelace:" + hashOfSecret, want: map[string][]string{"Ada Lovelace": nil}},
		"groups": {
			users: "ada:" + hashOfSecret + "\nbob:" + hashOfSecret, groups: "# ours\nanalysts: ada bob\nadmins: ada ada gone\nanalysts: bob\nempty:\n",
			want: map[string][]string{"ada": {"analysts", "admins"}, "bob": {"analysts"}},
		},
		"no colon":         {users: "# us\nsecret", problem: "users, line 2: expected NAME:HASH, found no colon"},
		"a plain password": {users: "ada:secret", problem: "users, line 1: expected a bcrypt hash ($2y$COST$...), found something else"},
		"MD5 of Apache":    {users: "ada:$apr1$secret$secret", problem: "line 1: expected a bcrypt hash ($2y$COST$...), found MD5 of Apache, which is not supported"},
		"SHA-1":            {users: "ada:{SHA}secret", problem: "SHA-1, which is not supported"},
		"SHA-512-crypt":    {users: "ada:$6$secret$secret", problem: "SHA-512-crypt, which is not supported"},
		"faulty bcrypt":    {users: "ada:$2x" + hashOfSecret[3:], problem: "a bcrypt hash of a faulty implementation"},
		"bcrypt cut short": {users: "ada:" + hashOfSecret[:40], problem: "a bcrypt hash that is damaged"},
		"bcrypt that takes days": {
			users:   "ada:" + strings.Replace(hashOfSecret, "$05$", "$31$", 1),
			problem: "expected a bcrypt hash of cost 4 to 16, found cost 31",
		},
		"the same user twice":   {users: "ada:" + hashOfSecret + "\n\nada:" + costlyHash, problem: "users, line 3: the user of line 1 again"},
		"a user without a name": {users: ":" + hashOfSecret, problem: "users, line 1: the name: it is empty"},
		"a reserved user":       {users: "system:anonymous:" + hashOfSecret, problem: "line 1: expected a bcrypt hash"}, // names end at the first colon
		"a control character":   {users: "a\x01:" + hashOfSecret, problem: "control characters"},
		"a group without colon": {users: "ada:" + hashOfSecret, groups: "\nanalysts ada", problem: "groups, line 2: expected GROUP: USER USER, found no colon"},
		"a group without name":  {users: "ada:" + hashOfSecret, groups: ": ada", problem: "groups, line 1: the group: it is empty"},
		"a reserved group":      {users: "ada:" + hashOfSecret, groups: "system: ada", want: map[string][]string{"ada": {"system"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseUsers([][]byte{[]byte(tt.users), []byte(tt.groups)})
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Fatalf("ended with %v, want %q", err, tt.problem)
				}
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("%q shows what is in the file", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got.all) != len(tt.want) {
				t.Errorf("got %d users, want %d", len(got.all), len(tt.want))
			}
			for user, groups := range tt.want {
				if u, ok := got.all[user]; !ok || !slices.Equal(u.groups, groups) {
					t.Errorf("%s is there: %t, in %q, want %q", user, ok, u.groups, groups)
				}
			}
		})
	}
}

func TestTheDummyCostsAsMuchAsTheDearestUser(t *testing.T) {
	for users, want := range map[string]int{
		"":                    defaultCost,
		"ada:" + hashOfSecret: 5,
		"ada:" + hashOfSecret + "\nbob:" + costlyHash: 12,
	} {
		u, err := parseUsers([][]byte{[]byte(users), nil})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := costOf(string(u.dummy)); err != nil || got != want {
			t.Errorf("the dummy costs %d, %v, want %d", got, err, want)
		}
	}
	if matches(dummyHash(minCost), "") || matches(dummyHash(minCost), "password") {
		t.Error("a password is the dummy's")
	}
}

func TestTokensFile(t *testing.T) {
	const sum = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" // of "secret"
	for name, tt := range map[string]struct {
		file    string
		token   string // that is then
		user    string
		groups  []string
		problem string
	}{
		"with groups":              {file: "secret,ada,analysts|admins\n", token: "secret", user: "ada", groups: []string{"analysts", "admins"}},
		"without groups":           {file: "secret,ada", token: "secret", user: "ada"},
		"with empty groups":        {file: "# t\n\nsecret , ada ,", token: "secret", user: "ada"},
		"by its hash":              {file: "sha256:" + sum + ",ada,analysts", token: "secret", user: "ada", groups: []string{"analysts"}},
		"by its hash, in capitals": {file: "sha256:" + strings.ToUpper(sum) + ",ada", token: "secret", user: "ada"},
		"no user":                  {file: "\nsecret", problem: "tokens, line 2: expected TOKEN,USER or TOKEN,USER,GROUP|GROUP, found 1 fields"},
		"groups with commas":       {file: "secret,ada,b,c", problem: "line 1: expected TOKEN,USER or TOKEN,USER,GROUP|GROUP, found 4 fields"},
		"no token":                 {file: ",ada", problem: "line 1: the token is empty"},
		"an empty user":            {file: "secret,", problem: "line 1: the user: it is empty"},
		"a reserved user":          {file: "secret,system:serviceaccount:a:b", problem: "line 1: the user: names that begin with system: are reserved"},
		"a reserved group":         {file: "secret,ada,system:masters", problem: "line 1: a group: names that begin with system: are reserved"},
		"an empty group":           {file: "secret,ada,a||b", problem: "line 1: a group: it is empty"},
		"a token with a space":     {file: "sec ret,ada", problem: "line 1: expected a token of at most"},
		"a hash cut short":         {file: "sha256:secret,ada", problem: "line 1: expected sha256: and 64 hexadecimal digits"},
		"a token twice":            {file: "secret,ada\nsha256:" + sum + ",bob", problem: "tokens, line 2: the token of line 1 again"},
	} {
		t.Run(name, func(t *testing.T) {
			a := made(t, Settings{Bearer: &Bearer{TokensFile: written(t, "tokens", tt.file)}}, Options{}, newClock().Now)
			id, err := identified(t, a, bearerOf(tt.token))
			if tt.problem == "" {
				wantIdentity(t, id, err, MethodBearer, tt.user, append(tt.groups, GroupAuthenticated)...)
				return
			}
			wantRefusal(t, err, errUnavailable, "this server has not got its tokens yet")
			problem := a.State()[0].Problem
			if !strings.Contains(problem, tt.problem) || strings.Contains(problem, "secret") {
				t.Errorf("the problem is %q, want %q, and nothing of the file", problem, tt.problem)
			}
		})
	}
}

func TestFilesThatGoBadLeaveTheLastGoodVersion(t *testing.T) {
	clock := newClock()
	for name, spoil := range map[string]func(t *testing.T, path string){
		"a bad line": func(t *testing.T, path string) { write(t, path, "good-token,ada\nbad\n") },
		"gone": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"too large": func(t *testing.T, path string) { write(t, path, strings.Repeat("#", maxFile+1)) },
		"a folder": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := written(t, "tokens", "good-token,ada\n")
			var log logBuffer
			a := made(t, Settings{Bearer: &Bearer{TokensFile: path}}, Options{Logger: logTo(&log)}, clock.Now)
			digest := a.State()[0].Digest
			spoil(t, path)
			changed := a.Changed()
			a.look()
			a.look()
			id, err := identified(t, a, bearerOf("good-token"))
			wantIdentity(t, id, err, MethodBearer, "ada", GroupAuthenticated)
			state := a.State()[0]
			if state.Digest != digest || !strings.Contains(state.Problem, "the last good version stays in force") {
				t.Errorf("the state is %+v, want the digest %s and the problem", state, digest)
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 1 || strings.Contains(log.String(), "good-token") {
				t.Errorf("the log has %d errors, want one, and no token:\n%s", n, &log)
			}
			select {
			case <-changed:
				t.Error("it is told that identities have changed")
			default:
			}
			if name == "a folder" {
				os.Remove(path)
			}
			write(t, path, "good-token,bob\n")
			a.look()
			id, err = identified(t, a, bearerOf("good-token"))
			wantIdentity(t, id, err, MethodBearer, "bob", GroupAuthenticated)
			if p := a.State()[0].Problem; p != "" {
				t.Errorf("the problem stays: %s", p)
			}
			<-changed
		})
	}
}

func TestFilesMayBeMadeLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "later", "users")
	a := made(t, Settings{Basic: &Basic{UsersFile: path, GroupsFile: path + "-groups"}}, Options{}, newClock().Now)
	_, err := identified(t, a, passwordOf("ada", "secret"))
	wantRefusal(t, err, errUnavailable, "this server has not got its users yet", path, "ada", "secret")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, path, htpasswd(t, "ada", "secret"))
	a.look()
	id, err := identified(t, a, passwordOf("ada", "secret"))
	wantIdentity(t, id, err, MethodBasic, "ada", GroupAuthenticated)
	write(t, path+"-groups", "analysts: ada\n")
	a.look()
	id, err = identified(t, a, passwordOf("ada", "secret"))
	wantIdentity(t, id, err, MethodBasic, "ada", "analysts", GroupAuthenticated)
}

func FuzzUsersFile(f *testing.F) {
	f.Add([]byte("ada:"+hashOfSecret+"\n"), []byte("analysts: ada\n"))
	f.Add([]byte("#\nada:$apr1$x"), []byte(":"))
	f.Fuzz(func(t *testing.T, users, groups []byte) {
		u, err := parseUsers([][]byte{users, groups})
		if err != nil {
			return
		}
		for name, user := range u.all {
			if checkName(name) != nil || len(goodGroups(user.groups)) != len(user.groups) {
				t.Errorf("%q in %q was let in", name, user.groups)
			}
			if cost, err := costOf(string(user.hash)); err != nil || cost > maxCost {
				t.Errorf("a hash of cost %d was let in: %v", cost, err)
			}
		}
	})
}

func FuzzTokensFile(f *testing.F) {
	f.Add([]byte("secret,ada,analysts|admins\n"))
	f.Add([]byte("sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b,ada"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseTokens(data)
		if err != nil {
			return
		}
		for sum, id := range all {
			if all.bearer(sum) != id || checkName(id.User) != nil || id.Groups[len(id.Groups)-1] != GroupAuthenticated {
				t.Errorf("got %+v", id)
			}
		}
	})
}
