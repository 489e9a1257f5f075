package drive

import "bytes"

const httpOne = "HTTP/1."

// lines takes the lines of a head or a trailer, up to its end. A line of which the end has not come is put aside.
func (p *response) lines(in []byte) (used int) {
	for used < len(in) && p.phase <= inTrailer && p.err == nil {
		if len(p.line) == 0 {
			if p.pending != framesNothing && !blank(in[used]) {
				p.settle()
			}
			if p.phase == inFields && p.pending == framesNothing {
				used += p.quickFields(in[used:])
			}
			if p.err != nil {
				return used
			}
		}
		line := in[used:]
		end := bytes.IndexByte(line, '\n')
		if end >= 0 {
			line = line[:end+1]
		}
		used += len(line)
		p.spent += len(line)
		if end < 0 || len(p.line) > 0 {
			p.line = append(p.line, line...)
			line = p.line
		}
		switch {
		case p.phase == inStatusLine && !begins(line, httpOne):
			p.err = errNotHTTP // at once: what speaks another protocol may send no line at all
		case p.spent > headMax:
			p.err = errHeadTooLarge
		case end < 0:
			return used
		default:
			p.line = p.line[:0]
			p.whole(line[:len(line)-1], used < len(in) && !blank(in[used]))
		}
	}
	return used
}

// begins says whether line begins with text as far as both go.
func begins(line []byte, text string) bool {
	n := min(len(line), len(text))
	return string(line[:n]) == text[:n]
}

// whole takes a line without its line feed. last: it is known that its value does not go on in the next line.
func (p *response) whole(line []byte, last bool) {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	switch {
	case p.phase == inStatusLine:
		p.statusLine(line)
	case len(line) > 0 && blank(line[0]):
		p.fold(line)
	case len(line) > 0:
		p.field(line, last)
	case p.phase == inTrailer:
		p.phase = complete
	default:
		p.headEnd()
	}
}

// statusLine reads "HTTP/1.1 200 OK". The reason is free, and may be missing with its space.
func (p *response) statusLine(line []byte) {
	const version = len(httpOne) + 1
	if len(line) <= version || !digit(line[version-1]) || line[version] != ' ' {
		p.err = errStatusLine
		return
	}
	p.minor = line[version-1] - '0'
	rest := line[version:]
	for len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	if len(rest) < 3 || !digit(rest[0]) || !digit(rest[1]) || !digit(rest[2]) || len(rest) > 3 && rest[3] != ' ' || rest[0] == '0' {
		p.err = errStatusLine
		return
	}
	p.code = int(rest[0]-'0')*100 + int(rest[1]-'0')*10 + int(rest[2]-'0')
	p.keep = p.keep || busy(p.code) // whether it asks to come back stands in a field
	p.phase = inFields
}

// quickFields takes the header lines that are whole, well formed and not continued, in one pass over their bytes, and stops
// before the first that is not.
func (p *response) quickFields(in []byte) (used int) {
	for p.err == nil {
		line := in[used:]
		name := nameLen(line)
		if name == 0 || name == len(line) || line[name] != ':' || line[0] == ' ' {
			return used
		}
		end := name + 1 + textLen(line[name+1:])
		next := end + 1
		if next < len(line) && line[end] == '\r' {
			next++
		}
		if next >= len(line) || line[next-1] != '\n' || blank(line[next]) || p.spent+next > headMax {
			return used
		}
		p.spent += next
		used += next
		p.accept(line[:name], line[name+1:end], true)
	}
	return used
}

// field reads the line "name: value".
func (p *response) field(line []byte, last bool) {
	name := nameLen(line)
	if name == 0 || name == len(line) || line[name] != ':' || textLen(line) < len(line) {
		p.err = errField
		return
	}
	p.accept(line[:name], line[name+1:], last)
}

// accept takes a well-formed field.
func (p *response) accept(name, value []byte, last bool) {
	p.fields++
	if p.phase == inTrailer {
		return // nothing in a trailer may change the framing
	}
	if p.keep {
		p.kept = append(append(p.kept, name...), ':')
		p.kept = append(append(p.kept, trim(value)...), '\n')
	}
	frames := kindOf(name)
	switch {
	case frames == framesNothing:
	case last:
		p.frame(frames, trim(value))
	default:
		p.pending = frames
		p.value = append(p.value[:0], value...)
	}
}

// fold reads a line that continues the value of the one before.
func (p *response) fold(line []byte) {
	if p.fields == 0 || textLen(line) < len(line) {
		p.err = errField
		return
	}
	if p.phase == inTrailer {
		return
	}
	if p.keep {
		p.kept[len(p.kept)-1] = ' '
		p.kept = append(p.kept, trim(line)...)
		p.kept = append(p.kept, '\n')
	}
	if p.pending != framesNothing {
		p.value = append(p.value, ' ')
		p.value = append(p.value, trim(line)...)
	}
}

// settle reads the pending field, whose value is known to be whole now.
func (p *response) settle() {
	frames := p.pending
	p.pending = framesNothing
	p.frame(frames, trim(p.value))
}

// headEnd decides what follows a head.
func (p *response) headEnd() {
	p.fields = 0
	switch {
	case p.code == 101:
		p.err = errSwitched
	case p.code < 200:
		if p.informs++; p.informs > informMax {
			p.err = errInforms
		}
		p.phase, p.framing, p.kept = inStatusLine, framing{length: -1}, p.kept[:0]
	default:
		p.status = p.code
		p.phase = p.bodyPhase()
	}
}
