package pki

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// names call CAs A, B and so on, in the order in which they are made.
type names map[string]string

func (n names) of(id string) string {
	if n[id] == "" {
		n[id] = string(rune('A' + len(n)))
	}
	return n[id]
}

// show writes a state as the active CA, +the next one, -the retired ones.
func (n names) show(s State) string {
	text := n.of(s.Active.ID())
	if s.Next != nil {
		text += "+" + n.of(s.Next.CA.ID())
	}
	for _, r := range s.Retired {
		text += "-" + n.of(idOf(r.Certificate))
	}
	return text
}

// step is a look at the CA at a time.
type step struct {
	// at is counted from the beginning.
	at time.Duration
	// published is whether everybody has the bundle of the state before; served the names of the CAs in use, "?" if that is not known.
	published bool
	served    string
	trigger   string
	want      string
}

func TestAdvance(t *testing.T) {
	// A is due between days 170 and 200, is taken to be published after five sixths, on day 250, and expires on day 300.
	policy := Policy{Life: 300 * day, Overlap: 10 * day}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"is replaced with an overlap", []step{
			{0, true, "", "", "A"},
			{169 * day, true, "A", "", "A"},
			{200 * day, true, "A", "", "A+B"},
			{201 * day, true, "A", "", "A+B"},
			{211*day - time.Second, true, "A", "", "A+B"},
			{211 * day, true, "A", "", "B-A"},
			{221*day - time.Second, true, "B", "", "B-A"},
			{221 * day, true, "AB", "", "B-A"},
			{222 * day, true, "B", "", "B"},
		}},
		{"a next one waits until all have been given it", []step{
			{0, true, "", "", "A"},
			{200 * day, true, "A", "", "A+B"},
			{230 * day, false, "A", "", "A+B"},
			{231 * day, true, "A", "", "A+B"},
			{241*day - time.Second, false, "A", "", "A+B"},
			{241 * day, false, "A", "", "B-A"},
		}},
		{"a next one does not wait for ever", []step{
			{0, true, "", "", "A"},
			{200 * day, false, "?", "", "A+B"},
			{259 * day, false, "?", "", "A+B"},
			{260 * day, false, "?", "", "B-A"},
		}},
		{"an old one is trusted until it expires if nobody knows what is served", []step{
			{0, true, "", "", "A"},
			{200 * day, true, "?", "", "A+B"},
			{201 * day, true, "?", "", "A+B"},
			{211 * day, true, "?", "", "B-A"},
			{300*day - time.Second, true, "?", "", "B-A"},
			{300 * day, true, "?", "", "B"},
		}},
		{"nobody has a server", []step{
			{0, true, "", "", "A"},
			{200 * day, true, "", "", "A+B"},
			{200*day + time.Minute, true, "", "", "A+B"},
			{210*day + time.Minute, true, "", "", "B-A"},
			{220*day + time.Minute, true, "", "", "B"},
		}},
		{"after years of sleep a new one comes soon", []step{
			{0, true, "", "", "A"},
			{3000 * day, false, "?", "", "A+B"},
			{3000*day + 9*time.Minute, false, "?", "", "A+B"},
			{3000*day + 10*time.Minute, false, "?", "", "B"},
		}},
		{"after a sleep in the overlap the next one that has expired is made anew", []step{
			{0, true, "", "", "A"},
			{200 * day, true, "A", "", "A+B"},
			{3000 * day, false, "?", "", "A+C"},
			{3000*day + 10*time.Minute, false, "?", "", "C"},
		}},
		{"shortly before its end it is not waited for", []step{
			{0, true, "", "", "A"},
			{299 * day, false, "?", "", "A+B"},
			{300*day - 11*time.Minute, false, "?", "", "A+B"},
			{300*day - 10*time.Minute, false, "?", "", "B-A"},
			{300 * day, false, "?", "", "B"},
		}},
		{"a clock that is wrong for some minutes does nothing", []step{
			{0, true, "", "", "A"},
			{-9000 * day, false, "A", "", "A+B"},
			{-9000*day + 9*time.Minute, false, "A", "", "A+B"},
			{10 * time.Minute, false, "A", "", "A"},
			{9000 * day, false, "A", "", "A+C"},
			{11 * time.Minute, false, "A", "", "A"},
		}},
		{"a CA of the future is replaced soon", []step{
			{0, true, "", "", "A"},
			{-100 * day, false, "A", "", "A+B"},
			{-100*day + 10*time.Minute, false, "A", "", "B-A"},
			{-80 * day, true, "B", "", "B"},
		}},
		{"a clock that jumps back lets the overlap begin anew", []step{
			{0, true, "", "", "A"},
			{200 * day, true, "A", "", "A+B"},
			{200*day + time.Minute, true, "A", "", "A+B"},
			{200*day - 3*time.Minute, true, "A", "", "A+B"},
			{210*day - 4*time.Minute, true, "A", "", "A+B"},
			{210*day - 3*time.Minute, true, "A", "", "B-A"},
			{205 * day, true, "B", "", "B-A"},
			{215*day - time.Second, true, "B", "", "B-A"},
			{215 * day, true, "B", "", "B"},
		}},
		{"a clock that jumps back far in the overlap lets it begin with another one", []step{
			{0, true, "", "", "A"},
			{200 * day, true, "A", "", "A+B"},
			{201 * day, true, "A", "", "A+B"},
			{10 * day, false, "A", "", "A"}, // whatever the jitter, none is due
			{211 * day, false, "A", "", "A+C"},
		}},
		{"is replaced when somebody says so", []step{
			{0, true, "", "", "A"},
			{1 * day, true, "A", "leaked", "A+B"},
			{2 * day, true, "A", "leaked", "A+B"},
			{12 * day, true, "A", "leaked", "B-A"},
			{22 * day, true, "B", "leaked", "B"},
			{23 * day, true, "B", "", "B"},
			{24 * day, true, "B", "leaked", "B"},
			{25 * day, true, "B", "leaked again", "B+C"},
		}},
		{"somebody says so while another one is announced", []step{
			{0, true, "", "", "A"},
			{1 * day, true, "A", "1", "A+B"},
			{2 * day, true, "A", "1", "A+B"},
			{12 * day, true, "A", "2", "A+C"},
			{13 * day, true, "A", "2", "A+C"},
			{23 * day, true, "A", "2", "C-A"},
		}},
		{"somebody says so while an old one is still served", []step{
			{0, true, "", "", "A"},
			{1 * day, true, "A", "1", "A+B"},
			{2 * day, true, "A", "1", "A+B"},
			{12 * day, true, "A", "1", "B-A"},
			{13 * day, true, "AB", "2", "B+C-A"},
			{14 * day, true, "AB", "2", "B+C-A"},
			{24 * day, true, "AB", "2", "C-B-A"},
			{34 * day, true, "AC", "2", "C-A"},
			{35 * day, true, "C", "2", "C"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, s := names{}, State{}
			for _, step := range c.steps {
				seen := Seen{Trigger: step.trigger}
				if step.published {
					seen.Published = certs.Digest(s.Bundle())
				}
				if step.served != "?" {
					seen.Served = map[string]bool{}
					for id, name := range n {
						seen.Served[id] = strings.Contains(step.served, name)
					}
				}
				now := start.Add(step.at)
				s, _, _ = advance(t, s, seen, now, policy)
				if got := n.show(s); got != step.want {
					t.Fatalf("after %s: %s, want %s", step.at, got, step.want)
				}
				if again, changed, _ := advance(t, restart(t, s), Seen{Trigger: step.trigger, Served: seen.Served}, now, policy); changed {
					t.Fatalf("after %s: a second look makes %s of %s", step.at, n.show(again), n.show(s))
				}
			}
		})
	}
}

// TestAdvanceLeavesItsArgument holds Advance to be a function: the state that it was given stays as it was.
func TestAdvanceLeavesItsArgument(t *testing.T) {
	policy := Policy{Life: 300 * day, Overlap: 10 * day}
	s, _, _ := advance(t, State{}, Seen{}, start, policy)
	s, _, _ = advance(t, s, Seen{Trigger: "1"}, start, policy)
	s, _, _ = advance(t, s, Seen{Published: certs.Digest(s.Bundle())}, start, policy)
	s, _, _ = advance(t, s, Seen{Trigger: "2"}, start.Add(20*day), policy)
	s.Retired = append(s.Retired, Retired{Certificate: newCA(t, start, 300*day).Certificate, Since: start.Add(day)})
	before, err := Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Duration{-20 * day, 0, 20 * day, 250 * day, 3000 * day} {
		advance(t, s, Seen{Trigger: "3", Published: certs.Digest(s.Bundle()), Served: map[string]bool{}}, start.Add(at), policy)
		after, err := Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Fatalf("%s later the state that was given has changed", at)
		}
	}
}

func TestBundleIsNewestFirst(t *testing.T) {
	a, b, c, d := newCA(t, start, year), newCA(t, start, year), newCA(t, start, year), newCA(t, start, year)
	s := State{Active: c, Next: &Next{CA: d, Announced: start}, Retired: []Retired{{b.Certificate, start}, {a.Certificate, start}}}
	var want strings.Builder
	for _, ca := range []*CA{d, c, b, a} {
		want.Write(encodeCertificate(ca.Certificate))
	}
	if got := string(s.Bundle()); got != want.String() {
		t.Errorf("got\n%s, want\n%s", got, want.String())
	}
}

// TestWake looks at random times: before the time that was said nothing is due, at that time something is.
func TestWake(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			policy := Policy{Life: time.Duration(20+random.IntN(400)) * day, Overlap: day}
			now := start
			s, _, _ := advance(t, State{}, Seen{}, now, policy)
			for range 60 {
				seen := Seen{Published: certs.Digest(s.Bundle()), Served: map[string]bool{}}
				for _, c := range s.Trusted() {
					seen.Served[idOf(c)] = random.IntN(2) == 0
				}
				// What is seen may make something due at once, but for a bundle that nobody has yet. From then on it stays the same.
				s, _, _ = advance(t, s, seen, now, policy)
				var wake time.Time
				if s, _, wake = advance(t, s, seen, now, policy); s.Next != nil {
					seen.Published = certs.Digest(s.Bundle())
					s, _, wake = advance(t, s, seen, now, policy)
				}
				if !wake.After(now) {
					t.Fatalf("woken at %s to wake at %s", now, wake)
				}
				between := now.Add(time.Duration(random.Int64N(int64(wake.Sub(now)))))
				if _, changed, again := advance(t, s, seen, between, policy); changed || !again.Equal(wake) {
					t.Fatalf("at %s: changed %t, to wake at %s, although nothing was due before %s", between, changed, again, wake)
				}
				now = wake
				var changed bool
				if s, changed, _ = advance(t, restart(t, s), seen, now, policy); !changed {
					t.Fatalf("woken at %s for nothing", now)
				}
			}
		})
	}
}
