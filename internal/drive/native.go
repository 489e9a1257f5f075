package drive

// nativeError is why the native engine cannot send something.
type nativeError string

// Error says it as a reason.
func (e nativeError) Error() string { return "the native engine cannot send this: " + string(e) }

// Hint names the engine that can.
func (e nativeError) Hint() string { return "choose --engine http" }
