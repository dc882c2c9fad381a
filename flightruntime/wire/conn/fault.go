package conn

import (
	"errors"
	"runtime/debug"
)

// errLost ends a connection that was to bring what cannot be read any more.
var errLost = errors.New("memory that was to be sent cannot be read: the disk below it has failed, or its file was cut")

// reading runs f, which reads announced memory. By itself, Go ends the process where mapped memory cannot be read: here that is errLost.
func reading(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if _, fault := p.(interface{ Addr() uintptr }); !fault {
			panic(p)
		}
		err = errLost
	}()
	f()
	return nil
}
