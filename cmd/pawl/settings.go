package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"
)

// settings are the values of a TOML file, by flag name. They stand behind
// flags and environment.
type settings struct {
	path   string
	values map[string]any
	known  []string // the flags of pawl serve
}

var _ kong.Resolver = (*settings)(nil)

// load finds the file that the arguments or the environment name, and reads
// it. Kong asks resolvers only while it parses, so the flag is looked up
// before.
func (s *settings) load(args []string) error {
	s.path = os.Getenv("PAWL_CONFIG")
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			s.path = value
		} else if arg == "--config" && i+1 < len(args) {
			s.path = args[i+1]
		}
	}
	if s.path == "" {
		return nil
	}
	if _, err := toml.DecodeFile(s.path, &s.values); err != nil {
		return fmt.Errorf("configuration file %s: %w", s.path, err)
	}
	return nil
}

// learn takes the names of settings from the flags of the server. A file says
// what the server is like; no file says --yes.
func (s *settings) learn(app *kong.Application) {
	for _, command := range app.Children {
		if command.Name == "serve" {
			for _, f := range command.Flags {
				s.known = append(s.known, f.Name)
			}
		}
	}
}

// Validate refuses names that are no setting: a misspelt one must not be
// passed over.
func (s *settings) Validate(*kong.Application) error {
	var faults []error
	for name := range s.values {
		if !slices.Contains(s.known, name) {
			faults = append(faults, fmt.Errorf("%s: %q is no setting; settings are named like the flags of pawl serve", s.path, name))
		}
	}
	return errors.Join(faults...)
}

// Resolve gives a flag its value from the file, unless the environment has
// one.
func (s *settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	if !slices.Contains(s.known, flag.Name) {
		return nil, nil
	}
	return s.values[flag.Name], nil
}
