// Package kit is what the bundled services are built from: an event loop, a hash pool, a downstream client, admission,
// stores and metrics, each with the fault it can have and the cure for it.
//
// It stands under the services and above the standard library. It knows nothing of registrations, billing or captest.
package kit
