/**
 * Class names of the style sheets: a class belongs to one component, so that a rule for one
 * never reaches another; each class that is styled is used, and each that is used is styled.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import ts from 'typescript';

const CLASS = /jp-Sessions-[A-Za-z]+/g;

function filesIn(folder: string, ending: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => ending.test(name))
    .map(name => join(folder, name));
}

/** Classes by where they are given to an element, and those that are looked for. */
interface IUses {
  given: Map<string, Set<string>>;
  soughtFor: Set<string>;
}

function nameOf(declaration: ts.Statement): string {
  const named = ts.isVariableStatement(declaration)
    ? declaration.declarationList.declarations[0]
    : (declaration as ts.FunctionDeclaration);
  return named.name?.getText() ?? '';
}

/** Whether a text stands where elements get their classes. */
function givesClasses(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isJsxAttribute(node) || ts.isPropertyAssignment(node)) {
    return node.name.getText() === 'className';
  }
  if (ts.isCallExpression(node)) {
    return node.expression.getText().endsWith('.addClass');
  }
  return !ts.isStatement(node) && !!parent && givesClasses(parent);
}

function look(node: ts.Node, where: string, uses: IUses): void {
  if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) {
    const isMarkup = node.text.includes('class="');
    for (const [found] of node.text.matchAll(CLASS)) {
      if (node.text.includes(`.${found}`)) {
        uses.soughtFor.add(found);
      } else if (isMarkup || givesClasses(node)) {
        const places = uses.given.get(found) ?? new Set();
        uses.given.set(found, places.add(where));
      }
    }
  }
  ts.forEachChild(node, child => look(child, where, uses));
}

function usesIn(files: string[]): IUses {
  const uses: IUses = { given: new Map(), soughtFor: new Set() };
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    const latest = ts.ScriptTarget.Latest;
    const source = ts.createSourceFile(file, text, latest, true);
    for (const statement of source.statements) {
      look(statement, `${file}: ${nameOf(statement)}`, uses);
    }
  }
  return uses;
}

function styledIn(files: string[]): Set<string> {
  const texts = files.map(file => readFileSync(file, 'utf8'));
  const found = texts.flatMap(text => [
    ...text.matchAll(/\.(jp-Sessions-[A-Za-z]+)/g)
  ]);
  return new Set(found.map(([, name]) => name));
}

const { given, soughtFor } = usesIn(filesIn('src', /\.tsx?$/));
const styled = styledIn(filesIn('style', /\.css$/));

test('a class belongs to one component', () => {
  const shared = [...given].filter(([, places]) => places.size > 1);
  assert.deepEqual(
    shared.map(([name, places]) => [name, ...places]),
    []
  );
});

test('a class that is styled or looked for is given to an element', () => {
  assert.ok(given.size > 30);
  const used = [...styled, ...soughtFor];
  assert.deepEqual(
    used.filter(name => !given.has(name)),
    []
  );
});

test('a class that is given to an element is styled or looked for', () => {
  const unused = [...given.keys()].filter(
    name => !styled.has(name) && !soughtFor.has(name)
  );
  assert.deepEqual(unused, []);
});
