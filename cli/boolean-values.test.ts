import { Command } from 'commander';
import { expect, it } from 'vitest';
import { withoutBooleanValues } from './boolean-values.ts';

function program(): Command {
  const root = new Command();
  const create = root.command('create');
  create.command('kustomization').alias('ks').option('--prune').option('--no-wait-ready').option('--path <directory>');
  return root;
}

it.each([
  ['create ks a --prune=true', 'create ks a --prune'],
  ['create ks a --prune=false', 'create ks a'],
  ['create kustomization a --wait-ready=false', 'create kustomization a --no-wait-ready'],
  ['create kustomization a --wait-ready=true', 'create kustomization a'],
  ['create ks a --path=true', 'create ks a --path=true'],
  ['create ks a --unknown=true', 'create ks a --unknown=true'],
  ['create ks a --prune=maybe', 'create ks a --prune=maybe'],
])('"%s" is "%s"', (given, expected) => {
  expect(withoutBooleanValues(given.split(' '), program())).toEqual(expected.split(' '));
});
