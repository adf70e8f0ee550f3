package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

const module = "github.com/kubernaut/kubernaut/"

// survey is all that was measured. Comments are reported, not judged.
type survey struct {
	measures []measure
	imports  map[string]map[string]bool // our packages, by the package that imports them

	code, comments         int // outside of api and pkg, whose comments are documentation
	bodyCode, bodyComments int
}

func measureTree(root string) (survey, error) {
	s := survey{imports: map[string]map[string]bool{}}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			return skipped(name)
		}
		return s.file(file, name)
	})
	if err != nil {
		return survey{}, fmt.Errorf("measuring: %w", err)
	}
	for dir, imported := range s.imports {
		s.add(fanOut, dir, len(imported))
	}
	return s, nil
}

// skipped keeps out what was built, and what exists only for tests.
func skipped(dir string) error {
	base := path.Base(dir)
	if dir != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
		return fs.SkipDir
	}
	switch {
	case dir == "bin", dir == "test", dir == "internal/kubetest", base == "testdata":
		return fs.SkipDir
	}
	return nil
}

func (s *survey) file(file, name string) error {
	isMakefile := path.Base(name) == "Makefile"
	if !isMakefile && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")) {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if isMakefile {
		s.add(makefileLines, name, bytes.Count(text, []byte("\n")))
		return nil
	}
	return s.source(name, text)
}

func (s *survey) source(name string, text []byte) error {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(parsed) {
		return nil
	}
	s.add(fileLines, name, bytes.Count(text, []byte("\n")))
	dir := path.Dir(name)
	s.fan(dir, parsed)
	for _, decl := range parsed.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			s.function(dir, d, lines(fset, d))
		case *ast.GenDecl:
			s.interfaces(dir, d)
		}
	}
	if !strings.HasPrefix(name, "api/") && !strings.HasPrefix(name, "pkg/") {
		s.countComments(fset, parsed, bytes.Split(text, []byte("\n")))
	}
	return nil
}

func lines(fset *token.FileSet, n ast.Node) int {
	return fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1
}

func (s *survey) add(b budget, name string, value int) {
	s.measures = append(s.measures, measure{budget: b, name: name, value: value})
}

func (s *survey) fan(dir string, f *ast.File) {
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !strings.HasPrefix(imported, module) {
			continue
		}
		if s.imports[dir] == nil {
			s.imports[dir] = map[string]bool{}
		}
		s.imports[dir][imported] = true
	}
}

func (s *survey) function(dir string, f *ast.FuncDecl, length int) {
	name := dir + "." + receiver(f) + f.Name.Name
	s.add(functionLines, name, length)
	s.add(complexity, name, decisions(f)+1)
	if f.Name.Name == "Reconcile" {
		s.add(reconcileLines, name, length)
	}
	kind := parameters
	if f.Recv == nil && strings.HasPrefix(strings.ToLower(f.Name.Name), "new") {
		kind = constructorNeeds
	}
	s.add(kind, name, f.Type.Params.NumFields())
}

// receiver is the type of a method, with a dot.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	name := ""
	ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" { // the first is the type, the rest are its parameters
			name = id.Name + "."
		}
		return true
	})
	return name
}

// decisions counts what gocyclo counts.
func decisions(f *ast.FuncDecl) int {
	count := 0
	ast.Inspect(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			count++
		case *ast.CaseClause:
			count += min(1, len(x.List)) // default is no decision
		case *ast.CommClause:
			if x.Comm != nil {
				count++
			}
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				count++
			}
		}
		return true
	})
	return count
}

func (s *survey) interfaces(dir string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		declared, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		if i, ok := declared.Type.(*ast.InterfaceType); ok {
			s.add(interfaceMethods, dir+"."+declared.Name.Name, i.Methods.NumFields())
		}
	}
}

func (s *survey) countComments(fset *token.FileSet, f *ast.File, text [][]byte) {
	body := make([]bool, len(text)+1)
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		for line := fset.Position(fn.Body.Pos()).Line; line <= fset.Position(fn.Body.End()).Line; line++ {
			body[line] = true
		}
	}
	for i, line := range text {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
		case bytes.HasPrefix(line, []byte("//")):
			count(body[i+1], &s.comments, &s.bodyComments)
		default:
			count(body[i+1], &s.code, &s.bodyCode)
		}
	}
}

func count(inBody bool, all, body *int) {
	*all++
	if inBody {
		*body++
	}
}
