// Package pki is the operator's own certificate authority: for clusters without cert-manager it signs the servers' certificates, and in every
// cluster the one by which servers know the operator. It is no general CA: it has no intermediates, no revocation lists, and signs for nobody else.
//
// What happens to the CA is decided by Advance, a pure function of the state, of what was seen and of the time. Authority keeps the state in a
// Secret and does what Advance says. A CA is replaced with an overlap, so that no client is left out:
//
//	announced   the next CA is trusted and signs nothing, until everybody has known it for Policy.Overlap
//	active      it signs, and all certificates are issued anew
//	retired     its private key is gone; it stays trusted for Policy.Overlap, and then until no server shows a certificate of it
package pki
