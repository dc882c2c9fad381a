package authn

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// users are what the files of basic hold.
type users struct {
	all map[string]user
	// dummy is compared where there is no such user, so that it takes the same time. Its cost is the highest of all.
	dummy []byte
}

type user struct {
	hash []byte
	// mark is a fingerprint of name and hash: tokens have it, and are good for as long as the user has the same password.
	mark   string
	groups []string
}

// bcryptHash is a hash as htpasswd -B writes it. $2x$ is that of a faulty implementation, and refused with the others.
var bcryptHash = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

// Costs of bcrypt that are taken. htpasswd makes 5 if nobody says otherwise; a hash of 16 takes seconds to check.
const (
	minCost = 4
	maxCost = 16
	// defaultCost is that of the dummy while there is no user.
	defaultCost = 10
)

// dummyHash is a hash of nobody's password.
func dummyHash(cost int) []byte {
	return fmt.Appendf(nil, "$2a$%02d$%s", cost, strings.Repeat(".", 53))
}

// parseUsers reads htpasswd lines, and lines `group: user1 user2`. Of a file with a bad line, nothing is taken. Errors name the line, and
// show nothing of it.
func parseUsers(contents [][]byte) (*users, error) {
	u := &users{all: map[string]user{}}
	lineOf := map[string]int{}
	highest := 0
	for n, line := range lines(contents[0]) {
		name, hash, found := strings.Cut(line, ":")
		if !found {
			return nil, fmt.Errorf("users, line %d: expected NAME:HASH, found no colon: write it with htpasswd -B", n)
		}
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("users, line %d: the name: %w", n, err)
		}
		if first, twice := lineOf[name]; twice {
			return nil, fmt.Errorf("users, line %d: the user of line %d again: remove one of them", n, first)
		}
		lineOf[name] = n
		cost, err := costOf(hash)
		if err != nil {
			return nil, fmt.Errorf("users, line %d: %w", n, err)
		}
		highest = max(highest, cost)
		sum := sha256.Sum256([]byte(line))
		u.all[name] = user{hash: []byte(hash), mark: hex.EncodeToString(sum[:16])}
	}
	if highest == 0 {
		highest = defaultCost
	}
	u.dummy = dummyHash(highest)
	if err := u.join(contents[1]); err != nil {
		return nil, err
	}
	return u, nil
}

// join reads the groups, in order. That a member is no user is no error: users are removed without looking where they are named.
func (u *users) join(groups []byte) error {
	for n, line := range lines(groups) {
		group, members, found := strings.Cut(line, ":")
		group = strings.TrimSpace(group)
		if !found {
			return fmt.Errorf("groups, line %d: expected GROUP: USER USER, found no colon", n)
		}
		if err := checkName(group); err != nil {
			return fmt.Errorf("groups, line %d: the group: %w", n, err)
		}
		for _, name := range strings.Fields(members) {
			member, ok := u.all[name]
			if !ok || slices.Contains(member.groups, group) {
				continue
			}
			member.groups = append(member.groups, group)
			u.all[name] = member
		}
	}
	return nil
}

// costOf is the cost of a bcrypt hash.
func costOf(hash string) (int, error) {
	m := bcryptHash.FindStringSubmatch(hash)
	if m == nil {
		return 0, fmt.Errorf("expected a bcrypt hash ($2y$COST$...), found %s: write it with htpasswd -B", kindOfHash(hash))
	}
	cost, err := strconv.Atoi(m[1])
	if err != nil || cost < minCost || cost > maxCost {
		return 0, fmt.Errorf("expected a bcrypt hash of cost %d to %d, found cost %s: write it with htpasswd -B -C 12", minCost, maxCost, m[1])
	}
	return cost, nil
}

// kindOfHash names what htpasswd and others write.
func kindOfHash(hash string) string {
	for _, kind := range []struct{ prefix, name string }{
		{"$apr1$", "MD5 of Apache, which is not supported"},
		{"{SHA}", "SHA-1, which is not supported"},
		{"$1$", "MD5-crypt, which is not supported"},
		{"$5$", "SHA-256-crypt, which is not supported"},
		{"$6$", "SHA-512-crypt, which is not supported"},
		{"$y$", "yescrypt, which is not supported"},
		{"$argon2", "Argon2, which is not supported"},
		{"$2x$", "a bcrypt hash of a faulty implementation"},
		{"$2", "a bcrypt hash that is damaged"},
	} {
		if strings.HasPrefix(hash, kind.prefix) {
			return kind.name
		}
	}
	return "something else"
}

// lines are the lines of a file by number, without those that are empty or begin with #.
func lines(data []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range bytes.Lines(data) {
			n++
			text := strings.TrimSpace(string(line))
			if text != "" && text[0] != '#' && !yield(n, text) {
				return
			}
		}
	}
}
