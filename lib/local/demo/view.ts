import { styleText } from 'node:util';
import type { NodeStatus } from '../../londiste/admin/status.ts';
import type { TableStatus } from '../../londiste/admin/tables.ts';
import type { DemoState } from './demo.ts';

/** Milliseconds for people: `85ms`, `1.24s`. */
export const duration = (ms: number | undefined): string =>
  ms === undefined ? '-' : ms < 1000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(2)}s`;

const count = (value: number): string => Math.round(value).toLocaleString('en-US');

const nonZero = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, value]) => value > 0)
    .map(([name, value]) => `${words(name)} ${count(value)}`)
    .join(', ') || 'none yet';

/** `scheduleMissed` as `schedule missed`. */
const words = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

const sum = <T>(parts: Readonly<Record<string, T>>, of: (part: T) => number): number =>
  Object.values(parts).reduce((total, part) => total + of(part), 0);

const batchOf = ({ lastBatch }: DemoState): string =>
  lastBatch ? `${lastBatch.batch} (${count(lastBatch.events)} events)` : '-';

const lagOf = (state: DemoState): string =>
  `p50 ${duration(state.lagP50Ms)}, p99 ${duration(state.lagP99Ms)}`;

const inSync = ({ set }: DemoState): string =>
  `${set.tables.filter(({ state }) => state === 'ok').length} of ${set.tables.length} tables in sync`;

/** Cells of a copy's bar. */
const BAR = 20;

const bar = (done: number, of: number): string => {
  const full = of === 0 ? 0 : Math.round((done / of) * BAR);
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`;
};

/** The nodes as a tree: each below the one that it reads from. */
function nodeLines(nodes: readonly NodeStatus[], provider: string | null = null, depth = 0): string[] {
  return nodes
    .filter((node) => node.provider === provider)
    .flatMap((node) => [
      `${depth === 0 ? '' : `${'    '.repeat(depth - 1)}+-- `}${node.node} (${node.type}) at tick ${node.tick}` +
        `${node.provider === null ? '' : `, ${duration((node.lagSeconds ?? 0) * 1000)} behind`}` +
        `${node.error ? `, error: ${node.error}` : ''}`,
      ...nodeLines(nodes, node.node, depth + 1),
    ]);
}

function tableLine({ table, state, chunks, chunksDone, rows, fault }: TableStatus): string {
  const copied =
    chunks === null
      ? ''
      : `  ${bar(chunksDone ?? 0, chunks)} ${chunksDone}/${chunks} chunks, ${count(Number(rows ?? 0))} rows`;
  return `${table.padEnd(18)} ${(state ?? 'waiting').padEnd(12)}${copied}${fault ? `  ${fault}` : ''}`.trimEnd();
}

/** The whole view: a label and a text for each line. */
export function viewLines(state: DemoState): [label: string, text: string][] {
  const { changes, functions, plain, queues, set } = state;
  const calls = Object.entries(functions).map(([name, { invocations }]) => `${name} ${count(invocations)}`);
  const under = (label: string, texts: readonly string[]): [string, string][] =>
    texts.map((text, index) => [index === 0 ? label : '', text]);
  const lines: [string, string][] = [
    [state.phase, `${(state.elapsedMs / 1000).toFixed(1)}s`],
    ['set', `${state.queue}: ${inSync(state)}, last batch ${batchOf(state)}`],
    ...under('nodes', nodeLines(set.nodes)),
    ...under('tables', set.tables.map(tableLine)),
    ['lag', `${lagOf(state)} from commit to applied and recorded`],
    [
      'queue',
      `${plain.queue}: ${count(plain.events)} events; ${plain.consumer} has ${count(plain.pending)} to do`,
    ],
    ['ticks', `${count(state.ticks)} kept, the last one ${state.tickAgeSeconds.toFixed(1)}s ago`],
    [
      'changes',
      `${count(changes.changes)}, ${count(state.changesPerSecond)}/s, in ${count(changes.transactions)} transactions; ${count(changes.rolledBack)} rolled back, ` +
        `${count(changes.savepoints)} savepoints, ${count(changes.deadlocks)} deadlocks`,
    ],
    [
      'functions',
      `${calls.join(', ')}; ${count(sum(functions, (f) => f.coldStarts))} cold starts, ` +
        `${count(sum(functions, (f) => f.errors))} errors, ${count(sum(functions, (f) => f.timeouts))} time-outs`,
    ],
    [
      'messages',
      `${count(sum(queues, (q) => q.received))} received, ${count(sum(queues, (q) => q.deleted))} done, ` +
        `${count(sum(queues, (q) => q.returned))} failed, ${count(state.deadLetters)} given up`,
    ],
  ];
  if (state.chaos) lines.push(['chaos', nonZero(state.chaos)]);
  if (state.lastProblem) lines.push(['problem', state.lastProblem]);
  return lines;
}

/** The view on one line, where there is no terminal. */
export const viewLine = (state: DemoState): string =>
  [
    `${state.phase} ${(state.elapsedMs / 1000).toFixed(1)}s`,
    `${count(state.changes.changes)} changes, ${count(state.changesPerSecond)}/s`,
    `last batch ${batchOf(state)}`,
    inSync(state),
    `lag ${lagOf(state)}`,
    `${count(sum(state.functions, (f) => f.invocations))} invocations`,
    ...(state.chaos ? [`chaos: ${nonZero(state.chaos)}`] : []),
    ...(state.lastProblem ? [`last problem: ${state.lastProblem}`] : []),
  ].join('; ');

const CLEAR_LINE = '\u001b[K';
const UP = (lines: number) => `\u001b[${lines}A`;

/** News shown below the view: the last ones. */
const NEWS = 4;

/** Draws the view on a terminal, each time over the last one. */
export class LiveView {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  readonly #color: boolean;
  readonly #news: string[] = [];
  #drawn = 0;

  constructor(write: (text: string) => void, columns: () => number, color: boolean) {
    this.#write = write;
    this.#columns = columns;
    this.#color = color;
  }

  /** Shown with the next view, and with those after it for some time. */
  news(text: string): void {
    this.#news.push(text);
    this.#news.splice(0, this.#news.length - NEWS);
  }

  draw(state: DemoState): void {
    const news = this.#news.map((text): [string, string] => ['news', text]);
    const lines = [...viewLines(state), ...news].map(([label, text]) => {
      const shown = text.replace(/\p{Cc}/gu, ' ').slice(0, Math.max(20, this.#columns() - 12));
      return `${this.#label(label)}${shown}${CLEAR_LINE}\n`;
    });
    this.#write(`${this.#drawn > 0 ? UP(this.#drawn) : ''}${lines.join('')}`);
    this.#drawn = lines.length;
  }

  /** What is written next stands below the view. */
  leave(): void {
    this.#drawn = 0;
  }

  #label(label: string): string {
    const padded = label.padEnd(11);
    return this.#color ? styleText('bold', padded) : padded;
  }
}
