package targets

import (
	"encoding/json"

	"github.com/google/jsonschema-go/jsonschema"
)

// Patterns of the schema; the loader's own checks are the ones that count, since only they give places and reasons.
const (
	namePattern  = `^[A-Za-z_][A-Za-z0-9_-]*$`
	pathPattern  = `^/[^ #]*$`
	storePattern = `^(sqlite$|postgres(ql)?://)`
	urlPattern   = `^(https?://|\{\{)`
)

// JSONSchema describes target files for editors (JSON Schema 2020-12). captest itself checks with its own loader.
func JSONSchema() ([]byte, error) {
	scalar := &jsonschema.Schema{Types: []string{"string", "number", "boolean"}}
	service := object("One service of the target.", nil,
		property{"url", text("Base URL, http or https, perhaps with a path; {{env \"NAME\" \"default\"}} is filled in. No credentials.", urlPattern)},
		property{"kind", &jsonschema.Schema{Type: "string", Enum: []any{"kill-bill"}, Description: "kill-bill: its metrics are Dropwizard JSON, not Prometheus text."}},
		property{"health", text("Path of the health check.", pathPattern)},
		property{"metrics", text("Path of the metrics.", pathPattern)},
		property{"restart", text("Shell command that restarts the service.", "")},
		property{"knobs", knobs()},
	)
	allow := text("Address, prefix or name that load may reach; loopback always may be.", "")
	one, zero, most := 1, 0.0, float64(overloadUsersMax)
	s := object("A captest target: services that belong together and the addresses load may reach.", []string{"name", "services"},
		property{"name", text("Name of the target, used for run folders and reports.", namePattern)},
		property{"bundled", &jsonschema.Schema{Type: "boolean", Description: "captest starts and stops the services itself."}},
		property{"profile", text("Profile of the bundled services: before, phase1, phase2 or phase3.", namePattern)},
		property{"set", &jsonschema.Schema{Type: "object", AdditionalProperties: scalar, Description: "Knobs of the bundled services flipped on top of the profile, such as user.hash: loop, or fault: NAME for a named fault."}},
		property{"store", text("Database of the bundled services: sqlite (files, the default) or postgres://user@host:port/database. No password: it comes from PGPASSWORD or ~/.pgpass.", storePattern)},
		property{"allow", &jsonschema.Schema{
			Description: "Resolved addresses that load may reach besides loopback; anything else is refused.",
			AnyOf:       []*jsonschema.Schema{allow, {Type: "array", Items: allow.CloneSchemas(), MinItems: &one}},
		}},
		property{"owner", text("Who answers for the load; required when allow reaches beyond loopback.", "")},
		property{"entry", text("Service a step goes to that names none; needed when there are several.", namePattern)},
		property{"overload_users", &jsonschema.Schema{Type: "integer", Minimum: &zero, Maximum: &most, Description: "At least this many users overload the target when recovery is tested."}},
		property{"services", &jsonschema.Schema{Type: "object", MinProperties: &one, AdditionalProperties: service, PropertyNames: &jsonschema.Schema{Pattern: namePattern}, Description: "The services by name."}},
		property{"roles", roles()},
	)
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "captest target"
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// property is a named part of an object.
type property struct {
	name   string
	schema *jsonschema.Schema
}

// object has these properties and no others.
func object(description string, required []string, list ...property) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type: "object", Description: description, Required: required,
		Properties:           make(map[string]*jsonschema.Schema),
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}, // written as false
	}
	for _, p := range list {
		s.Properties[p.name] = p.schema
		s.PropertyOrder = append(s.PropertyOrder, p.name)
	}
	return s
}

func text(description, pattern string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Description: description, Pattern: pattern}
}

// knobs lets a file say how a service's settings are changed.
func knobs() *jsonschema.Schema {
	knob := object("A setting and how it is changed.", []string{"value", "command"},
		property{"value", &jsonschema.Schema{Types: []string{"string", "number"}, Description: "What it stands at now, such as 4, 12 or 200ms."}},
		property{"command", text("Shell command that sets it and leaves the service serving with it; {{value}} stands for the new value.", `\{\{value\}\}`)},
	)
	return &jsonschema.Schema{
		Type: "object", AdditionalProperties: knob,
		PropertyNames: &jsonschema.Schema{Pattern: `^(workers|hash|hash_cost|hash_pool|db_pool|slots|lock|time|client|(pool|semaphore)\.[A-Za-z_][A-Za-z0-9_-]*)$`},
		Description:   "Settings that captest may change to prove a finding, as captest diagnose --what-if names them, without the service.",
	}
}

// roles lets a file say what its own metrics stand for.
func roles() *jsonschema.Schema {
	var list []property
	for _, name := range RoleNames() {
		list = append(list, property{name, text("Metric that plays this role.", "")})
	}
	return object("Metrics whose names captest does not know by itself.", nil, list...)
}
