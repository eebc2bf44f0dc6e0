// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// Word is one that metrics and log use.
type Word struct{ Word, Meaning string }

// Words returns the string constants of a Go file that have that type, or, where it
// is empty, that prefix in their names and no type; in their order, with their
// comments. The error names the file.
func Words(file, typ, prefix string) ([]Word, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var words []Word
	for _, declaration := range parsed.Decls {
		constants, ok := declaration.(*ast.GenDecl)
		if !ok || constants.Tok != token.CONST {
			continue
		}
		for _, spec := range constants.Specs {
			v := spec.(*ast.ValueSpec)
			if of, _ := v.Type.(*ast.Ident); (of == nil) != (typ == "") || of != nil && of.Name != typ || !strings.HasPrefix(v.Names[0].Name, prefix) {
				continue
			}
			literal, ok := v.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				continue
			}
			word, err := strconv.Unquote(literal.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			comment := v.Doc
			if comment == nil {
				comment = constants.Doc // of a constant that stands alone
			}
			words = append(words, Word{word, meaning(v.Names[0].Name, comment.Text())})
		}
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("%s has no constants %s%s", file, typ, prefix)
	}
	return words, nil
}

// meaning is a comment without the name that it begins with.
func meaning(name, comment string) string {
	text := strings.Join(strings.Fields(comment), " ")
	for _, separator := range []string{": ", " says that ", " "} {
		if rest, ok := strings.CutPrefix(text, name+separator); ok {
			return strings.TrimSuffix(rest, ".")
		}
	}
	return strings.TrimSuffix(text, ".")
}
