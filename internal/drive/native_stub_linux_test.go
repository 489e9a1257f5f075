package drive

func newNative(c Config) (tested, error) { return NewNative(c) }
