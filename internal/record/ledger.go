package record

// LedgerBlock is a line of ledger.jsonl: a range of journey numbers reserved before the first of them is used. Identities are
// made from token and journey number, so that the block names everything the run may have created on the target, even
// after a kill.
type LedgerBlock struct {
	From     uint64 `json:"from"` // first journey number
	To       uint64 `json:"to"`   // one past the last
	Seed     uint64 `json:"seed,string"`
	Token    string `json:"token"`
	Scenario string `json:"scenario"`
}

// ReadLedger reads a run folder's ledger. Damaged lines are left out and named in the warnings; a run that created nothing
// has an empty ledger or none.
func ReadLedger(dir string) (blocks []LedgerBlock, warnings []string, err error) {
	if err := checkFolder(dir); err != nil {
		return nil, nil, err
	}
	r := &reader{dir: dir}
	err = r.file(LedgerFile, func(kind string, line []byte) error {
		var b LedgerBlock
		if err := decodeAs(kind, kindLedger, line, &b); err != nil {
			return err
		}
		blocks = append(blocks, b)
		return nil
	})
	return blocks, r.warnings(), err
}
