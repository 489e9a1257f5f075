// Package services is what captest bundles to be tested: a registration stack that fails for real and heals knob by knob.
//
//	captest ──► user ──► billing ──► kill-bill
//	          instance ──► billing
//
// Each service runs as its own process (the captest binary re-executed). Nothing here knows about load, measurement or
// diagnosis: these are the patients, not the doctor.
package services
