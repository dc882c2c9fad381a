package flightruntime

import (
	"strings"

	"google.golang.org/grpc/metadata"
)

// binarySuffix ends the keys of headers whose values may be any bytes.
const binarySuffix = "-bin"

// sendable is headers as HTTP/2 takes them, with keys in lower case. grpc-go sends what it is given, and clients end the connection, with
// all its calls, for one bad header.
func sendable(md metadata.MD) (metadata.MD, error) {
	lower := make(metadata.MD, len(md))
	for key, values := range md {
		k := strings.ToLower(key)
		if k == "" || strings.ContainsFunc(k, notOfKey) {
			return nil, Errorf(KindInternal, "header %q: expected a key of letters, digits, '-', '_' and '.'", key)
		}
		for _, v := range values {
			if !strings.HasSuffix(k, binarySuffix) && strings.ContainsFunc(v, notOfText) {
				return nil, Errorf(KindInternal, "header %q: expected a value of printable ASCII characters; binary goes under a key that ends in %s", key, binarySuffix)
			}
		}
		lower[k] = append(lower[k], values...)
	}
	return lower, nil
}

// notOfKey lets the colon of pseudo-headers such as :authority pass: a service may return the headers that it got, and grpc-go leaves
// these out.
func notOfKey(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:", r)
}

func notOfText(r rune) bool { return r < ' ' || r > '~' }
