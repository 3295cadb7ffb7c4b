import { expect, it } from 'vitest';
import { drawTree, type NodeStatus } from '../../../lib/londiste/admin/status.ts';

const node = (name: string, provider: string | null, lagSeconds = 1): NodeStatus => ({
  node: name,
  here: false,
  type: provider === null ? 'root' : 'branch',
  provider,
  tick: 7n,
  lagSeconds,
  paused: false,
  uptodate: true,
  error: null,
  tables: { ok: 1, half: 0, ignored: 0 },
  copying: [],
  attributes: {},
  troubled: [],
});

const draw = (states: NodeStatus[], compact = true) =>
  drawTree(states, { seconds: (value) => `${value}s`, alarm: (text) => `<${text}>`, compact });

const names = (tree: string) => [...tree.matchAll(/^ *(?:\+-)?(\w+) \(/gm)].map(([, name]) => name);

it('status draws children by depth, then by size, then by name', () => {
  const tree = draw([
    node('a', 'deep'),
    node('b', 'wide'),
    node('c', 'wide'),
    node('d', 'a'),
    node('deep', 'top'),
    node('narrow', 'top'),
    node('e', 'narrow'),
    node('top', null),
    node('wide', 'top'),
    node('z', 'top'),
    node('y', 'top'),
  ]);
  expect(names(tree)).toEqual(['top', 'y', 'z', 'narrow', 'e', 'wide', 'b', 'c', 'deep', 'a', 'd']);
});

it('status marks a lag of more than a minute, and no other', () => {
  const tree = draw([node('top', null, 60), node('late', 'top', 61)], false);
  expect(tree).toContain('Lag: 60s, Tick');
  expect(tree).toContain('Lag: <61s>, Tick');
});

it('status draws the root first, then nodes that could not be asked', () => {
  const gone = { ...node('a', null), type: 'dead', unreachable: 'marked as dead' };
  expect(names(draw([gone, node('b', 'top'), node('top', null)]))).toEqual(['top', 'b', 'a']);
});

it('status draws every node once, also those whose providers form a circle', () => {
  const tree = draw([node('a', 'b'), node('b', 'a'), node('top', null)]);
  expect(names(tree)).toEqual(['top', 'a', 'b']);
});

it('status draws a node that could not be asked where its provider has it, with its error and what is known of it', () => {
  const gone = { ...node('gone', 'top'), type: 'dead', unreachable: 'connection refused' };
  const tree = draw([gone, node('below', 'gone'), node('top', null)], false);
  expect(names(tree)).toEqual(['top', 'gone', 'below']);
  expect(tree).toContain(`    Node 'gone' failure: connection refused
      Lag: 1s, Tick: 7, as its provider has it`);
});
