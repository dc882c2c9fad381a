package authn

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// Bearer is authentication by tokens that somebody has made once.
type Bearer struct {
	// TokensFile holds lines TOKEN,USER,GROUP|GROUP, or sha256:HEX,USER,GROUP|GROUP with the SHA-256 of a token; groups may be left out. Empty
	// lines and lines that begin with # do not count. It may be made later, and is followed as it changes. Of a file with a bad line nothing is
	// taken: the last good version stays in force.
	TokensFile string
}

type bearer struct {
	tokens *followed[tokens]
}

// tokens are the bearers of tokens by their SHA-256. What the time of a look-up tells is of the hash, which a caller cannot steer.
type tokens map[[sha256.Size]byte]*Identity

var _ Revoker = (*bearer)(nil)

func newBearer(s Bearer) *bearer {
	parse := func(contents [][]byte) (tokens, error) { return parseTokens(contents[0]) }
	return &bearer{tokens: follow("the tokens of bearer", parse, file{path: s.TokensFile})}
}

func (b *bearer) Name() string { return MethodBearer }

func (b *bearer) Authenticate(_ context.Context, c Credentials) (*Identity, error) {
	if c.Scheme != SchemeBearer {
		return nil, ErrOtherMethod
	}
	all, ok := b.tokens.get()
	if !ok {
		return nil, unavailable("this server has not got its tokens yet: try again later; its log says why")
	}
	if id := all.bearer(sha256.Sum256([]byte(c.Token))); id != nil {
		return id, nil
	}
	return nil, other("the token is not in the file")
}

func (b *bearer) StillValid(_ context.Context, id *Identity) bool {
	all, _ := b.tokens.get()
	sum, _ := id.Proof.([sha256.Size]byte)
	now := all.bearer(sum)
	return now != nil && id.is(now)
}

func (b *bearer) look(log *slog.Logger) bool { return b.tokens.look(log) }
func (b *bearer) folders() []string          { return b.tokens.folders() }
func (b *bearer) digest() string             { return b.tokens.digest() }
func (b *bearer) trouble() string            { return b.tokens.trouble() }

// bearer is whose token has a hash; nil: nobody's.
func (t tokens) bearer(sum [sha256.Size]byte) *Identity {
	id := t[sum]
	if id == nil {
		return nil
	}
	if known, ok := id.Proof.([sha256.Size]byte); !ok || subtle.ConstantTimeCompare(known[:], sum[:]) != 1 {
		return nil
	}
	return id
}

// hashed begins tokens that are given by their hash.
const hashed = "sha256:"

// parseTokens reads a file of tokens. Errors name the line, and show nothing of it.
func parseTokens(data []byte) (tokens, error) {
	all := tokens{}
	lineOf := map[[sha256.Size]byte]int{}
	for n, line := range lines(data) {
		fields := strings.Split(line, ",")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if len(fields) != 2 && len(fields) != 3 {
			return nil, fmt.Errorf("tokens, line %d: expected TOKEN,USER or TOKEN,USER,GROUP|GROUP, found %d fields", n, len(fields))
		}
		sum, err := sumOf(fields[0])
		if err != nil {
			return nil, fmt.Errorf("tokens, line %d: %w", n, err)
		}
		if first, twice := lineOf[sum]; twice {
			return nil, fmt.Errorf("tokens, line %d: the token of line %d again: remove one of them", n, first)
		}
		lineOf[sum] = n
		if err := checkName(fields[1]); err != nil {
			return nil, fmt.Errorf("tokens, line %d: the user: %w", n, err)
		}
		id := &Identity{User: fields[1], Method: MethodBearer, Proof: sum}
		if len(fields) == 3 && fields[2] != "" {
			for _, group := range strings.Split(fields[2], "|") {
				if err := checkName(group); err != nil {
					return nil, fmt.Errorf("tokens, line %d: a group: %w", n, err)
				}
				id.Groups = append(id.Groups, group)
			}
		}
		all[sum] = authenticated(id)
	}
	return all, nil
}

// sumOf is the hash of a token, or the one that it is given by.
func sumOf(token string) (sum [sha256.Size]byte, err error) {
	digits, isHash := strings.CutPrefix(token, hashed)
	switch {
	case isHash:
		raw, err := hex.DecodeString(digits)
		if err != nil || len(raw) != sha256.Size {
			return sum, fmt.Errorf("expected sha256: and %d hexadecimal digits", hex.EncodedLen(sha256.Size))
		}
		return [sha256.Size]byte(raw), nil
	case token == "":
		return sum, fmt.Errorf("the token is empty")
	case len(token) > maxToken || strings.ContainsFunc(token, notOfHeader):
		return sum, fmt.Errorf("expected a token of at most %d printable ASCII characters without spaces, as headers carry", maxToken)
	}
	return sha256.Sum256([]byte(token)), nil
}

func notOfHeader(r rune) bool { return r <= ' ' || r > '~' }
