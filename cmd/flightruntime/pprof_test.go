package main

import "testing"

func TestProfilesAreForThisHostAlone(t *testing.T) {
	for address, allowed := range map[string]bool{
		"127.0.0.1:6060":   true,
		"127.1.2.3:6060":   true,
		"[::1]:6060":       true,
		":6060":            false,
		"0.0.0.0:6060":     false,
		"[::]:6060":        false,
		"192.168.0.1:6060": false,
		"localhost:6060":   false,
		"127.0.0.1":        false,
		"":                 false,
	} {
		if err := checkLoopback(address); (err == nil) != allowed {
			t.Errorf("%q: allowed should be %v, got %v", address, allowed, err)
		}
	}
}
