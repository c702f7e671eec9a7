import { describe, expect, it } from 'vitest';
import { fieldChanges } from './field-changes.ts';

const container = (name: string, image: string) => ({ name, image });

describe('fields that differ', () => {
  it.each<[string, unknown, unknown, [string, unknown, unknown][]]>([
    ['a value', { spec: { replicas: 2 } }, { spec: { replicas: 3 } }, [['spec.replicas', 2, 3]]],
    ['a field that comes', { data: {} }, { data: { a: '1' } }, [['data.a', undefined, '1']]],
    ['a field that goes', { data: { a: '1' } }, { data: {} }, [['data.a', '1', undefined]]],
    ['a key that is no word', { data: { 'a.b/c': '1' } }, { data: { 'a.b/c': '2' } }, [['data["a.b/c"]', '1', '2']]],
    ['nothing for absent and undefined', { a: undefined }, {}, []],
    ['another type', { a: { b: 1 } }, { a: 'b' }, [['a', { b: 1 }, 'b']]],
    [
      'items by their name, wherever they are',
      { list: [container('a', 'x:1'), container('b', 'y:1')] },
      { list: [container('a', 'x:1'), container('new', 'z:1'), container('b', 'y:2')] },
      [
        ['list[name=b].image', 'y:1', 'y:2'],
        ['list[name=new]', undefined, container('new', 'z:1')],
      ],
    ],
    [
      'ports by their number',
      { ports: [{ port: 80 }, { port: 81, targetPort: 1 }] },
      { ports: [{ port: 81, targetPort: 2 }] },
      [
        ['ports[port=80]', { port: 80 }, undefined],
        ['ports[port=81].targetPort', 1, 2],
      ],
    ],
    [
      'items in another order as whole lists',
      { list: [{ name: 'a' }, { name: 'b' }] },
      { list: [{ name: 'b' }, { name: 'a' }] },
      [['list', [{ name: 'a' }, { name: 'b' }], [{ name: 'b' }, { name: 'a' }]]],
    ],
    ['plain lists of one length by their place', { args: ['a', 'b'] }, { args: ['a', 'c'] }, [['args[1]', 'b', 'c']]],
    ['plain lists of other lengths as a whole', { args: ['a'] }, { args: ['a', 'b'] }, [['args', ['a'], ['a', 'b']]]],
  ])('are %s', (_, before, after, expected) => {
    expect(fieldChanges(before, after).map((change) => [change.path, change.before, change.after])).toEqual(expected);
  });
});
