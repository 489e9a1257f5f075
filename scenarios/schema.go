package scenarios

import (
	"encoding/json"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// Patterns of the schema; the loader's own checks are the ones that count, since only they give places and reasons.
const (
	namePattern     = `^[A-Za-z_][A-Za-z0-9_-]*$`
	durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`
	ratePattern     = `^[0-9]+(\.[0-9]+)? */ *(s|sec|second|m|min|minute|h|hour)$`
	limitPattern    = `[<>]=?`
)

// JSONSchema describes scenario files for editors (JSON Schema 2020-12). captest itself checks with its own loader.
func JSONSchema() ([]byte, error) {
	s := fields("A captest scenario: the steps of a journey, what a right answer looks like, and the limits it is judged by.",
		need("name", text("Name of the scenario, used for run folders and reports.", namePattern)),
		may("description", text("One sentence for people.", "")),
		may("data", open("Fields made anew for each journey, top to bottom; a later one may use an earlier one.", templateSchema(""))),
		may("rows", text("CSV file whose first line names columns for {{row.column}}; relative to this file.", "")),
		may("setup", stepsSchema("Sent once for each virtual user before its first journey, not measured.", inSetup)),
		need("steps", stepsSchema("The journey, in order.", inSteps)),
		may("direct", directSchema()),
		may("limits", oneOrMore(text("[step.]metric op value, such as register.p95<1s, errors<1%, goodput>400/min, capacity>=8/s, recovery<10s.", limitPattern), "What the run is judged by.")),
		may("baseline", text("Name of a published figure to compare with, such as killbill.", namePattern)),
		may("load", loadSchema()),
	)
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "captest scenario"
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// field is a named part of an object.
type field struct {
	name     string
	schema   *jsonschema.Schema
	required bool
}

func need(name string, s *jsonschema.Schema) field {
	return field{name: name, schema: s, required: true}
}
func may(name string, s *jsonschema.Schema) field { return field{name: name, schema: s} }

// fields is an object with these fields and no others.
func fields(description string, list ...field) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type: "object", Description: description,
		Properties:           make(map[string]*jsonschema.Schema),
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}, // written as false
	}
	for _, f := range list {
		s.Properties[f.name] = f.schema
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

// open is an object whose names the file chooses.
func open(description string, value *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "object", Description: description, AdditionalProperties: value}
}

func text(description, pattern string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Description: description, Pattern: pattern}
}

// templateSchema is a scalar whose text may hold {{…}}.
func templateSchema(description string) *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"string", "number", "boolean"}, Description: description}
}

func oneOrMore(item *jsonschema.Schema, description string) *jsonschema.Schema {
	least := 1
	return &jsonschema.Schema{Description: description, AnyOf: []*jsonschema.Schema{
		item,
		{Type: "array", Items: item.CloneSchemas(), MinItems: &least},
	}}
}

func list(description string, item *jsonschema.Schema) *jsonschema.Schema {
	least := 1
	return &jsonschema.Schema{Type: "array", Description: description, Items: item, MinItems: &least}
}

func whole(description string, low, high float64) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "integer", Description: description, Minimum: &low, Maximum: &high}
}

func durationSchema(description string) *jsonschema.Schema { return text(description, durationPattern) }

func words(description string, allowed ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string", Description: description}
	for _, w := range allowed {
		s.Enum = append(s.Enum, w)
	}
	return s
}

func directSchema() *jsonschema.Schema {
	s := open("Services behind the entry, and how the same identities are pushed straight at each: its part of the run's tests.",
		stepsSchema("Sent to this service in order, with the scenario's data.", inDirect))
	least, most := 1, directMax
	s.MinProperties, s.MaxProperties = &least, &most
	s.PropertyNames = &jsonschema.Schema{Pattern: namePattern}
	return s
}

func stepsSchema(description string, in section) *jsonschema.Schema {
	zero, most := 0.0, float64(weightMax)
	parts := []field{
		need("name", text("Name of the step, unique in the file; limits and reports use it.", namePattern)),
		may("service", text("Service of the target this step goes to; without it, the target's entry.", namePattern)),
		need("request", requestSchema()),
		may("expect", expectSchema()),
		may("capture", open("Values to take from the answer: NAME: json.PATH, header.NAME or regex:EXPRESSION with one group.",
			text("", `^(json[.\[]|header\.|regex:)`))),
		may("think", durationSchema("Pause after the step.")),
		may("timeout", durationSchema("Longest time for the whole exchange; 30s without it.")),
		may("timeouts", timeoutsSchema()),
	}
	if in == inDirect { // the key above says which service
		parts = slices.DeleteFunc(parts, func(f field) bool { return f.name == "service" })
	}
	if in == inSteps {
		parts = append(parts, may("weight", &jsonschema.Schema{
			Type: "number", ExclusiveMinimum: &zero, Maximum: &most,
			Description: "Makes neighbouring steps with a weight alternatives: each journey takes one, in proportion.",
		}))
	}
	return list(description, fields("One request and what must come back.", parts...))
}

func timeoutsSchema() *jsonschema.Schema {
	s := fields("Timeouts of parts of the exchange, shorter than its timeout.",
		may("connect", durationSchema("Until a new connection can be used, TLS included.")),
		may("first_byte", durationSchema("From a connection in hand to the first byte of the answer.")),
	)
	least := 1
	s.MinProperties = &least
	return s
}

func requestSchema() *jsonschema.Schema {
	s := fields("What is sent; at most one of json, form and body.",
		may("method", words("GET without a body, POST with one, unless given.", methods...)),
		need("path", text("Path and query on the service.", `^(/|\{\{)`)),
		may("headers", open("Headers; values may hold {{…}}.", templateSchema(""))),
		may("basic", fields("Basic authentication.",
			need("user", templateSchema("User name.")),
			need("password", templateSchema(`Password; take it from the environment: {{env "NAME"}}.`)),
		)),
		may("json", &jsonschema.Schema{Description: "JSON body, written as YAML; {{…}} inside its texts is filled in and escaped."}),
		may("form", open("Form fields; values may hold {{…}}.", templateSchema(""))),
		may("body", templateSchema("Raw body; {{…}} is filled in as it is.")),
	)
	for _, pair := range [][]string{{"json", "form"}, {"json", "body"}, {"form", "body"}} {
		s.AllOf = append(s.AllOf, &jsonschema.Schema{Not: &jsonschema.Schema{Required: pair}})
	}
	return s
}

func expectSchema() *jsonschema.Schema {
	return fields("What makes the answer a success; any 2xx status without it.",
		may("status", oneOrMore(whole("HTTP status.", 100, 599), "Status, or any of several.")),
		may("json", &jsonschema.Schema{
			Types:       []string{"object", "array"},
			Description: "Values the JSON answer must have, nested or by path (customer.id, items[0]).",
		}),
		may("contains", text("Text the body must hold.", "")),
		may("headers", open("Headers the answer must have, exactly.", templateSchema(""))),
	)
}

func loadSchema() *jsonschema.Schema {
	users := func() *jsonschema.Schema {
		return whole("Virtual users, each sending its next journey when the last is done.", 1, usersMax)
	}
	rate := func() *jsonschema.Schema {
		return text("Journeys started per second, minute or hour, whether or not earlier ones are done: 50/s, 600/min.", ratePattern)
	}
	arrivals := words("How starts are spread: slotted (one at a random moment of each slot), constant or poisson.", "slotted", "constant", "poisson")
	stage := fields("Moves evenly from the load before to this one.",
		may("users", whole("Virtual users at the end of the stage.", 0, usersMax)),
		may("rate", rate()),
		need("for", durationSchema("Length of the stage.")),
	)
	stage.OneOf = []*jsonschema.Schema{{Required: []string{"users"}}, {Required: []string{"rate"}}}
	s := fields("Fixes the load in the file.",
		may("users", users()),
		may("total", whole("Journeys in all.", 1, totalMax)),
		may("rate", rate()),
		may("for", durationSchema("How long.")),
		may("arrivals", arrivals),
		may("stages", list("A load that changes.", stage)),
	)
	never := func(names ...string) *jsonschema.Schema {
		not := &jsonschema.Schema{}
		for _, n := range names {
			not.AnyOf = append(not.AnyOf, &jsonschema.Schema{Required: []string{n}})
		}
		return not
	}
	s.OneOf = []*jsonschema.Schema{
		{Required: []string{"users", "total"}, Not: never("for", "rate", "stages", "arrivals")},
		{Required: []string{"users", "for"}, Not: never("total", "rate", "stages", "arrivals")},
		{Required: []string{"rate", "for"}, Not: never("users", "total", "stages")},
		{Required: []string{"stages"}, Not: never("users", "total", "rate", "for")},
	}
	return s
}
