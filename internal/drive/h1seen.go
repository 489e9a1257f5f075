package drive

// seenHead is a head that came before, and what the parser made of it. Most heads of a target are, for a second or longer, the
// same bytes, and the same bytes mean the same. The responses of one loop share one.
type seenHead struct {
	text     []byte // up to the end of its empty line
	progress        // behind it
	misses   uint   // heads that were others
}

const (
	seenMax   = 1 << 10 // bytes of a head that is remembered
	seenEvery = 8       // heads that are all different cost next to nothing: each eighth alone is remembered
)

// again recognises a head at the beginning of a response and says how long it is; 0: it is another, or has to be read for its
// fields.
func (s *seenHead) again(in []byte, p *response) (used int) {
	n := len(s.text)
	if n == 0 || n > len(in) || p.keep || p.head || string(in[:n]) != string(s.text) {
		return 0
	}
	p.progress = s.progress
	return n
}

// learn remembers a head that came in one piece and was well formed.
func (s *seenHead) learn(text []byte, p *response) {
	if p.err != nil || p.keep || p.head || len(text) > seenMax {
		return
	}
	if s.misses++; s.misses%seenEvery == 1 {
		s.text, s.progress = append(s.text[:0], text...), p.progress
	}
}
