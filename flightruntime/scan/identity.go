package scan

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Caller is who a view is for, which the filters of its parts may ask by the name identity.
type Caller struct {
	// User is identity.user.
	User string
	// Groups are identity.groups.
	Groups []string
	// Claims are identity.claims: values as encoding/json makes them, json.Number and numbers of Go among them. One that is not there is
	// null, and is no error.
	Claims map[string]any
}

// identityName is what filters of views know their caller by. A column of this name is row['identity'].
const identityName = "identity"

// identityMembers are the members of identity.
var identityMembers = []string{"claims", "groups", "user"}

// unknownMember is what identity.x is for an x that there is not.
type unknownMember struct{}

// ofCaller is the value of an expression such as identity.claims.tenant; false if it is none. The value is nil for a claim that there is not.
func (c *compiler) ofCaller(e ast.Expr) (value any, ok bool) {
	if c.caller == nil {
		return nil, false
	}
	switch e.Kind() { //nolint:exhaustive // the others are no way into an identity
	case ast.IdentKind:
		return c.caller, e.AsIdent() == identityName
	case ast.SelectKind:
		if s := e.AsSelect(); !s.IsTestOnly() {
			return c.memberOf(s.Operand(), s.FieldName())
		}
	case ast.CallKind:
		call := e.AsCall()
		if args := call.Args(); call.FunctionName() == operators.Index && args[1].Kind() == ast.LiteralKind {
			if name, isText := args[1].AsLiteral().(types.String); isText {
				return c.memberOf(args[0], string(name))
			}
		}
	}
	return nil, false
}

func (c *compiler) memberOf(e ast.Expr, name string) (any, bool) {
	of, ok := c.ofCaller(e)
	if !ok {
		return nil, false
	}
	return member(of, name), true
}

// member is a member of a value of the caller's.
func member(of any, name string) any {
	switch of := of.(type) {
	case *Caller:
		switch name {
		case "user":
			return of.User
		case "groups":
			groups := make([]any, len(of.Groups))
			for i, g := range of.Groups {
				groups[i] = g
			}
			return groups
		case "claims":
			if of.Claims == nil {
				return map[string]any{}
			}
			return of.Claims
		}
		return unknownMember{}
	case map[string]any:
		return of[name]
	case unknownMember:
		return of
	default: // there is nothing within it
		return nil
	}
}

// identity compiles a value of the caller's, which is the same for every row.
func (c *compiler) identity(e ast.Expr, value any) (operand, error) {
	switch v := value.(type) {
	case nil:
		return operand{shape: shape{kind: kindNull}, expr: e, slot: -1, strict: true}, nil
	case *Caller:
		return operand{}, c.errorf(e, "identity is nothing by itself: expected identity.user, identity.groups or identity.claims.name")
	case unknownMember:
		return operand{}, c.errorf(e, "identity has only %s", strings.Join(identityMembers, ", "))
	case []any, []string:
		return operand{}, c.errorf(e, "a list of the caller's can stand to the right of in and nowhere else, as in 'analysts' in identity.groups")
	case map[string]any:
		return operand{}, c.errorf(e, "this has members and is no value by itself: name one, as in identity.claims.tenant")
	default:
		literal, ok := celLiteral(v)
		if !ok {
			return operand{}, c.errorf(e, "the claim is of a type that filters do not know")
		}
		o, err := c.literal(ast.NewExprFactory().NewLiteral(e.ID(), literal))
		o.expr = e // what it is worth stands in no message
		return o, err
	}
}

// isUnsaid is true for a claim that there is not. It is null as the cells of a column of nulls are, and not as null is that is written: x ==
// null tests for null, x == identity.claims.name is null without the claim.
func (o operand) isUnsaid() bool {
	return o.kind == kindNull && !o.literal && o.path == nil && o.node == nil
}

// inCallers compiles x in a list, or in the keys of a map, of the caller's.
func (c *compiler) inCallers(e ast.Expr, x operand, list ast.Expr, value any) (operand, error) {
	var values []any
	switch v := value.(type) {
	case []any:
		values = v
	case []string:
		for _, s := range v {
			values = append(values, s)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			values = append(values, key)
		}
	case nil:
		return joined(kindBool, alwaysNull, x, operand{slot: -1}), nil
	default:
		y, err := c.identity(list, value)
		if err != nil {
			return operand{}, err
		}
		return c.containment(e, x, y)
	}
	elements := make([]ast.Expr, 0, len(values))
	for _, v := range values {
		literal, ok := celLiteral(v)
		if !ok {
			return operand{}, c.errorf(list, "the list has elements of a type that filters do not know")
		}
		elements = append(elements, ast.NewExprFactory().NewLiteral(list.ID(), literal))
	}
	return c.inList(e, x, elements)
}

// identityHas compiles has(identity.claims.name).
func (c *compiler) identityHas(e ast.Expr, of any, name string) (operand, error) {
	value := member(of, name)
	if value == (unknownMember{}) {
		return c.identity(e, value)
	}
	o := operand{shape: shape{kind: kindBool}, expr: e, node: alwaysFalse, literal: true, slot: -1}
	if value != nil {
		o.node = alwaysTrue
	}
	return o, nil
}

// celLiteral is a value as a filter would write it; false if it cannot be written. Whole numbers of json.Number are ints; float64 are doubles,
// as CEL has the numbers of JSON, and compare with ints.
func celLiteral(v any) (ref.Val, bool) {
	switch v := v.(type) {
	case nil:
		return types.NullValue, true
	case string:
		return types.String(v), true
	case bool:
		return types.Bool(v), true
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return types.Int(n), true
		}
		f, err := v.Float64()
		return types.Double(f), err == nil
	}
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return types.Int(r.Int()), true
	case r.CanUint():
		return types.Uint(r.Uint()), true
	case r.CanFloat():
		return types.Double(r.Float()), true
	default:
		return nil, false
	}
}
