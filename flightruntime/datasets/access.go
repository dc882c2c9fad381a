package datasets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/scan"
	"github.com/flight-operator/flight-operator/internal/text"
)

// SetPolicy makes the service hold the calls that begin from now on against a policy, with who calls from authn.IdentityOf. nil, which is what
// a service begins with, lets everybody do everything. Calls that are running go on; see EndCalls.
func (s *Service) SetPolicy(p *authz.Policy) { s.policy.Store(&policy{Policy: p}) }

// Policy is the one that SetPolicy has set last.
func (s *Service) Policy() *authz.Policy { return s.policy.Load().Policy }

// policy is a policy, and what was said of its rules in the log.
type policy struct {
	*authz.Policy
	said sync.Map
}

// caller is who makes a call, and by which rules.
type caller struct {
	service  *Service
	policy   *policy
	id       *authn.Identity // nil: nobody asked
	operator bool
	record   *record
}

// caller is who makes the call of a context, by the rules of now.
func (s *Service) caller(ctx context.Context) caller {
	id, _ := authn.IdentityOf(ctx)
	c := caller{service: s, policy: s.policy.Load(), id: id, operator: flightruntime.CallOf(ctx).IsOperator(), record: recordOf(ctx)}
	c.record.calls(id)
	return c
}

// unbound is true for those who may do everything: all, while there is no policy, and the operator, who gets no further than to the actions that
// are its own.
func (c caller) unbound() bool { return c.policy.Policy == nil || c.operator }

// permit is what a caller was found to be allowed: to use a verb, or run an action, on a dataset.
type permit struct {
	caller
	verb    authz.Verb
	action  string // of the verb action
	dataset string
	grant   authz.Grant
}

// narrowed is true if there is something of the dataset that the caller must not learn.
func (p permit) narrowed() bool { return !p.unbound() && !p.grant.Whole() }

// allowed is what the policy of the caller says of what the permit is for.
func (p permit) allowed() (authz.Grant, bool) {
	switch {
	case p.unbound():
		return authz.Grant{}, true
	case p.verb == authz.Action:
		return p.policy.AllowsAction(p.id, p.action, p.dataset)
	default:
		return p.policy.Allows(p.id, p.verb, p.dataset)
	}
}

// may lets the caller use a verb on a dataset, or is the error that refuses it.
func (c caller) may(v authz.Verb, dataset string) (permit, error) {
	return c.decide(permit{caller: c, verb: v, dataset: dataset})
}

// mayActOn lets the caller run an action on a dataset.
func (c caller) mayActOn(action, dataset string) (permit, error) {
	return c.decide(permit{caller: c, verb: authz.Action, action: action, dataset: dataset})
}

func (c caller) decide(p permit) (permit, error) {
	grant, ok := p.allowed()
	p.grant = grant
	c.record.decided(p, ok)
	if !ok {
		return p, p.refused()
	}
	return p, nil
}

// mayAct lets the caller run an action at all: on which datasets is another question, if it is on any.
func (c caller) mayAct(action string) error {
	if c.unbound() {
		c.record.decided(permit{caller: c, verb: authz.Action, action: action}, true)
		return nil
	}
	grant, ok := c.policy.AllowsSomeAction(c.id, action)
	c.record.decided(permit{caller: c, verb: authz.Action, action: action, grant: grant}, ok)
	switch {
	case ok:
		return nil
	case c.id == nil:
		return errNobody
	}
	return flightruntime.Errorf(flightruntime.KindUnauthorized,
		"you may not run the action %q: whoever runs this server can allow it by a rule with the verb action that names it", action)
}

// mayList notes for the audit by which rules the caller lists anything.
func (c caller) mayList() {
	p := permit{caller: c, verb: authz.List}
	ok := c.unbound()
	if !ok {
		p.grant, ok = c.policy.AllowsSome(c.id, authz.List)
	}
	c.record.decided(p, ok)
}

// lists is true if the caller may know whether there is a dataset of that name.
func (c caller) lists(dataset string) bool { return c.unbound() || c.policy.Lists(c.id, dataset) }

// errNobody refuses calls of which it is not known who makes them, where rules need to know.
var errNobody = flightruntime.Errorf(flightruntime.KindUnauthenticated, "it is not known who calls, and this server's rules need to know: log in")

// refused is the error of somebody who may not. It says so of datasets that they may list; of others it says, as of those that there are not,
// that there are none.
func (p permit) refused() error {
	if p.id == nil {
		return errNobody
	}
	if !p.lists(p.dataset) { // nobody looks whether it is there: that takes longer if it is not
		return p.notFound(p.dataset)
	}
	var absent *catalog.NotFoundError
	if _, err := p.service.catalog.Snapshot(p.dataset); errors.As(err, &absent) {
		return p.notFound(p.dataset)
	}
	what, rule := string(p.verb), string(p.verb)
	if p.verb == authz.Action {
		what, rule = fmt.Sprintf("run the action %s on", p.action), "action that names it"
	}
	return flightruntime.Errorf(flightruntime.KindUnauthorized,
		"you may not %s dataset %q, though you may list it: whoever runs this server can allow it by a rule with the verb %s", what, p.dataset, rule)
}

// notFound is the error for a dataset that there is not, as far as the caller may know. It names no other than those that they may list.
func (c caller) notFound(name string) error {
	var visible []string
	for _, other := range c.service.catalog.Names() {
		if c.lists(other) && other != name {
			visible = append(visible, other)
		}
	}
	return flightruntime.Errorf(flightruntime.KindNotFound, "%w", &catalog.NotFoundError{Name: name, Similar: text.Similar(name, visible)})
}

// callError gives an error its gRPC status. Where something of the dataset is hidden, so are the words of errors that may be about it: they are
// for the log.
func (p permit) callError(ctx context.Context, err error) error {
	var absent *catalog.NotFoundError
	var unavailable *catalog.UnavailableError
	var changed *catalog.ChangedError
	var known *flightruntime.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &absent) && !p.unbound():
		return p.notFound(absent.Name)
	case !p.narrowed(), errors.As(err, &known), ctx.Err() != nil:
		return callError(err)
	case errors.As(err, &unavailable):
		err = flightruntime.Errorf(flightruntime.KindUnavailable, "dataset %q cannot be served now", p.dataset)
	case errors.As(err, &changed):
		err = flightruntime.Errorf(flightruntime.KindUnavailable, "dataset %q changed while it was read, ask again", p.dataset)
	default:
		slog.ErrorContext(ctx, "a dataset that a caller sees a part of cannot be read", "dataset", p.dataset, "error", err)
		err = flightruntime.Errorf(flightruntime.KindInternal, "dataset %q cannot be read: the server's log says why", p.dataset)
	}
	return err
}

// view is what the caller sees of the dataset; nil if it is all.
func (p permit) view(ctx context.Context, schema *arrow.Schema) (*scan.View, error) {
	if !p.narrowed() {
		return nil, nil //nolint:nilnil // there is nothing to hide
	}
	v, problems, err := p.grant.View(schema, p.id)
	for _, problem := range problems {
		if _, said := p.policy.said.LoadOrStore(p.dataset+" "+problem.Error(), true); !said {
			slog.WarnContext(ctx, "a rule does not go with a dataset, and grants nothing of it", "dataset", p.dataset, "problem", problem)
		}
	}
	if err != nil {
		p.record.decided(p, false)
		return nil, p.refused()
	}
	return v, nil
}
