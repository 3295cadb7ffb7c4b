import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import { isIdentical } from './compare.ts';
import type { DemoListener, DemoResult, DemoState } from './demo.ts';
import { duration, LiveView, viewLine, viewLines } from './view.ts';

/** The part of a command's context that the report writes through. */
export interface ReportContext {
  readonly json: boolean;
  readonly color: boolean;
  readonly options: { readonly quiet?: boolean };
  readonly io: {
    readonly stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  };
  write(text: string): void;
  note(text: string): void;
}

/** Between two views: redrawn on a terminal, as JSON lines, as lines of text; in milliseconds. */
const REDRAW_MS = 250;
const JSON_MS = 1_000;
const LINE_MS = 5_000;

/** Shows the demonstration: a live view on a terminal, lines elsewhere, JSON lines with --json. */
export class DemoReport implements DemoListener {
  readonly #context: ReportContext;
  readonly #live: LiveView | undefined;
  readonly #every: number;
  #bars: MultiBar | undefined;
  readonly #bar = new Map<string, SingleBar>();
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(context: ReportContext) {
    this.#context = context;
    const { stderr } = context.io;
    const terminal = stderr.isTTY === true && !context.json && !context.options.quiet;
    if (terminal) {
      this.#live = new LiveView(
        (text) => void stderr.write(text),
        () => stderr.columns ?? 100,
        context.color,
      );
    }
    this.#every = terminal ? REDRAW_MS : context.json ? JSON_MS : LINE_MS;
  }

  stage(text: string): void {
    this.#endBars();
    this.#live?.leave();
    if (this.#context.json) this.#line({ event: 'stage', stage: text });
    else this.#context.note(text);
  }

  loading(table: string, loaded: number, total: number): void {
    if (this.#live) {
      this.#bars ??= new MultiBar(
        {
          stream: this.#context.io.stderr,
          format: '  {table} {bar} {value}/{total} rows',
          hideCursor: true,
        },
        Presets.shades_classic,
      );
      const bar = this.#bar.get(table) ?? this.#bars.create(total, 0, { table: table.padEnd(18) });
      this.#bar.set(table, bar);
      bar.update(loaded);
    } else if (loaded === total) {
      if (this.#context.json) this.#line({ event: 'loaded', table, rows: total });
      else this.#context.note(`  ${table}: ${total} rows`);
    }
  }

  told(text: string): void {
    if (this.#live) this.#live.news(text);
    else if (this.#context.json) this.#line({ event: 'told', text });
    else this.#context.note(`  ${text}`);
  }

  state(state: DemoState): void {
    if (this.#live && state.phase === 'loading') return;
    const now = performance.now();
    if (now - this.#shownAt < this.#every) return;
    this.#shownAt = now;
    if (this.#live) this.#live.draw(state);
    else if (this.#context.json) this.#line({ event: 'state', ...state });
    else this.#context.note(viewLine(state));
  }

  /** The verdict on stdout, what it stands on above it. */
  result(result: DemoResult): void {
    this.#endBars();
    const { identical, tables, rows, seed, state } = result;
    if (this.#context.json) {
      this.#line({ event: 'result', identical, rows, seed, tables, state });
      return;
    }
    if (!this.#live)
      for (const [label, text] of viewLines(state)) this.#context.note(`${label.padEnd(11)}${text}`);
    if (state.chaos) this.#context.note(`seed ${seed}`);
    if (identical) {
      this.#context.write(`identical: ${rows} rows in ${tables.length} tables\n`);
      return;
    }
    for (const comparison of tables.filter((each) => !isIdentical(each))) {
      const { table, same, onlySource, onlyTarget, different } = comparison;
      this.#context.write(
        `different: ${table}: ${onlySource} keys only in source, ${onlyTarget} only in target, ` +
          `${different} rows with other values, ${same} rows the same\n`,
      );
    }
    this.#context.write(`seed ${seed}; lag p99 ${duration(state.lagP99Ms)}\n`);
  }

  #endBars(): void {
    this.#bars?.stop();
    this.#bars = undefined;
  }

  /** One JSON object on one line; int8 as strings. */
  #line(value: object): void {
    const text = JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? String(item) : item));
    this.#context.write(`${text}\n`);
  }
}
