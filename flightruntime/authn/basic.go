package authn

import (
	"context"
	"log/slog"
	"strings"
)

// Basic is authentication by name and password. Both files may be made later, and are followed as they change. Of files with a bad line nothing
// is taken: the last good version stays in force.
type Basic struct {
	// UsersFile holds htpasswd lines of bcrypt, NAME:HASH. Empty lines and lines that begin with # do not count.
	UsersFile string
	// GroupsFile holds lines GROUP: USER USER. It need not exist; empty: there are no groups.
	GroupsFile string
}

// basic is the method. Whom it has let in by password is let in by a token after that, until the user is gone or has another password.
type basic struct {
	users     *followed[*users]
	passwords *passwords
	attempts  *attempts
}

var (
	_ Exchanger = (*basic)(nil)
	_ Revoker   = (*basic)(nil)
)

func newBasic(s Basic, p *passwords, a *attempts) *basic {
	files := []file{{path: s.UsersFile}, {path: s.GroupsFile, optional: true}}
	parse := parseUsers
	if s.GroupsFile == "" {
		files = files[:1]
		parse = func(contents [][]byte) (*users, error) { return parseUsers([][]byte{contents[0], nil}) }
	}
	return &basic{users: follow("the users of basic", parse, files...), passwords: p, attempts: a}
}

func (b *basic) Name() string { return MethodBasic }

func (b *basic) Authenticate(ctx context.Context, c Credentials) (*Identity, error) {
	if c.Scheme != SchemeBasic {
		return nil, ErrOtherMethod
	}
	// Twice: who is refused anyway is not to take a place in the queue, and who has waited may have failed elsewhere in the meantime.
	if err := b.attempts.allow(c.Peer); err != nil {
		return nil, err
	}
	if err := b.passwords.begin(ctx); err != nil {
		return nil, err
	}
	defer b.passwords.end()
	if err := b.attempts.allow(c.Peer); err != nil {
		return nil, err
	}
	all, ok := b.users.get()
	if !ok {
		return nil, unavailable("this server has not got its users yet: try again later; its log says why")
	}
	u, known := all.all[c.Name]
	hash := u.hash
	if !known {
		hash = all.dummy
	}
	if good := b.passwords.matches(hash, c.Password); !good || !known {
		b.attempts.failed(c.Peer)
		return nil, errWrong
	}
	return b.identity(c.Name, u), nil
}

func (b *basic) identity(name string, u user) *Identity {
	return &Identity{User: name, Groups: u.groups, Method: MethodBasic, Proof: u.mark}
}

// Remember is the fingerprint of the user's line, and the name.
func (b *basic) Remember(id *Identity) string {
	mark, _ := id.Proof.(string)
	return mark + " " + id.User
}

// Recall looks the user up.
func (b *basic) Recall(_ context.Context, memory string) (*Identity, error) {
	mark, name, _ := strings.Cut(memory, " ")
	all, ok := b.users.get()
	if !ok {
		return nil, unavailable("this server has not got its users yet: try again later; its log says why")
	}
	u, known := all.all[name]
	if !known || u.mark != mark {
		return nil, errWrong
	}
	return b.identity(name, u), nil
}

func (b *basic) StillValid(_ context.Context, id *Identity) bool {
	all, ok := b.users.get()
	if !ok {
		return false
	}
	u, known := all.all[id.User]
	return known && u.mark == id.Proof && id.is(b.identity(id.User, u))
}

func (b *basic) look(log *slog.Logger) bool { return b.users.look(log) }
func (b *basic) folders() []string          { return b.users.folders() }
func (b *basic) digest() string             { return b.users.digest() }
func (b *basic) trouble() string            { return b.users.trouble() }
