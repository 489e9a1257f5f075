package schedule

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Ramp is how many users a closed load has over time: from none, each stage moves evenly from the number before to its own.
// Like a Plan it is not changed by use.
type Ramp struct{ Stages []RampStage }

// RampStage ends with so many users.
type RampStage struct {
	Users int
	For   time.Duration
}

// Check says what is wrong with the ramp, everything at once, or nil. The other methods expect a ramp that passes.
func (r *Ramp) Check() error {
	var wrong []error
	var length time.Duration
	for i, s := range r.Stages {
		if s.Users < 0 {
			wrong = append(wrong, fmt.Errorf("stage %d: %d users are less than none", i+1, s.Users))
		}
		switch {
		case s.For <= 0:
			wrong = append(wrong, fmt.Errorf("stage %d: length %v is not positive", i+1, s.For))
		case length > math.MaxInt64-s.For:
			wrong = append(wrong, fmt.Errorf("stage %d: the ramp is longer than %v", i+1, time.Duration(math.MaxInt64)))
		default:
			length += s.For
		}
	}
	if len(wrong) == 0 && r.Peak() == 0 {
		wrong = append(wrong, errors.New("no stage has any users"))
	}
	return errors.Join(wrong...)
}

// Length of the ramp.
func (r *Ramp) Length() time.Duration {
	var d time.Duration
	for _, s := range r.Stages {
		d += s.For
	}
	return d
}

// Peak is the largest number of users.
func (r *Ramp) Peak() int {
	n := 0
	for _, s := range r.Stages {
		n = max(n, s.Users)
	}
	return n
}

// At gives the number of users at an instant: the line's value to the nearest whole number, so that over a stage as many
// user-seconds are given as the line encloses. After the end it is the last stage's.
func (r *Ramp) At(elapsed time.Duration) int {
	n, _ := r.look(elapsed)
	return n
}

// Next gives the first instant after elapsed at which At may differ, and whether there is one.
func (r *Ramp) Next(elapsed time.Duration) (time.Duration, bool) {
	_, next := r.look(elapsed)
	return next, next >= 0
}

// look gives the users at an instant and the next one that may have others, −1 for none:
//
//	users(t) = ⌊From + (To−From)·t/For + ½⌋,   the next whole number above k at   t = (k + ½ − From)·For/(To−From)
func (r *Ramp) look(elapsed time.Duration) (users int, next time.Duration) {
	var begin time.Duration
	from := 0
	for _, s := range r.Stages {
		at := max(elapsed-begin, 0)
		if at >= s.For {
			begin, from = begin+s.For, s.Users
			continue
		}
		by, length := float64(s.Users-from), float64(s.For)
		users = int(math.Floor(float64(from) + by*float64(at)/length + 0.5))
		edge := float64(users) + 0.5 // going up
		if by < 0 {
			edge = float64(users) - 0.5
		}
		end := length
		if by != 0 {
			end = min(end, math.Ceil((edge-float64(from))*length/by))
		}
		return users, begin + max(time.Duration(end), at+1)
	}
	return from, -1
}
