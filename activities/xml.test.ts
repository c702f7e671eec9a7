import { describe, expect, it } from 'vitest';
import { childOf, childrenOf, parseXml, textOf } from './xml.ts';

describe('parseXml', () => {
  it('reads elements, text, entities and CDATA, and passes over the rest', () => {
    const root = parseXml(
      '\uFEFF<?xml version="1.0"?><!-- a --><s:List xmlns:s="http://x/" a=\'1>0\'><Key>a&amp;b&#x2F;c&#252;&nope;</Key>' +
        '<Key><![CDATA[<d>]]></Key><Empty/><Deep><Er>\n</Er></Deep></s:List>\n',
    );
    expect(root.name).toBe('List');
    expect(childrenOf(root, 'Key').map((key) => key.text)).toEqual(['a&b/cü&nope;', '<d>']);
    expect(textOf(root, 'Empty')).toBe('');
    expect(textOf(childOf(root, 'Deep'), 'Er')).toBe('\n');
    expect(textOf(root, 'None')).toBeUndefined();
  });

  it.each([
    ['', 'the XML is not complete'],
    ['<a><b></a>', 'unexpected "</a>" at character 6 of the XML'],
    ['<a>', 'the XML is not complete'],
    ['</a>', 'unexpected "</a>" at character 0 of the XML'],
    ['<a/><b/>', 'the XML is not complete'],
    ['<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', 'unexpected text at character 0 of the XML'],
    ['<html><br>not closed</html>', 'unexpected "</html>" at character 20 of the XML'],
    ['<a>'.repeat(40), 'more than 32 levels of XML'],
  ])('refuses %j', (text, message) => {
    expect(() => parseXml(text)).toThrow(message);
  });
});
