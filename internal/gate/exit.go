package gate

// Exit codes of captest. Where k6 has a code for the same thing, the number is k6's (errext/exitcodes), so a pipeline
// that already branches on those keeps working; 111 to 115 are captest's own, above k6's last.
const (
	ExitPass         = 0   // every limit held, and there was something to judge
	ExitLimits       = 99  // a limit or a gate failed
	ExitConfig       = 104 // invalid configuration: command line, scenario or target file
	ExitInterrupted  = 105 // ended early by a signal or by the q key
	ExitScenario     = 107 // the scenario could not be carried out
	ExitPanic        = 109 // a defect of captest itself
	ExitInconclusive = 111 // no data, too noisy, or the generator was the limit
	ExitBaseline     = 112 // the baseline is missing or not comparable
	ExitRefused      = 113 // the safety guard refused an address
	ExitUnreachable  = 114 // the target did not answer before any load was sent
	ExitNotRecovered = 115 // the target did not come back after the overload
)

// Meaning says in a few words what an exit code stands for, "" for a code captest never uses.
func Meaning(code int) string {
	switch code {
	case ExitPass:
		return "pass"
	case ExitLimits:
		return "a limit or gate failed"
	case ExitConfig:
		return "invalid configuration"
	case ExitInterrupted:
		return "interrupted"
	case ExitScenario:
		return "scenario error"
	case ExitPanic:
		return "internal error"
	case ExitInconclusive:
		return "inconclusive"
	case ExitBaseline:
		return "baseline missing or not comparable"
	case ExitRefused:
		return "refused by the safety guard"
	case ExitUnreachable:
		return "target unreachable"
	case ExitNotRecovered:
		return "did not recover"
	default:
		return ""
	}
}
