import type { Chaos } from './chaos.ts';
import type { Clock } from './clock.ts';
import { scheduledEvent } from './events.ts';
import type { FunctionHost } from './function-host.ts';
import type { ScheduleEvent } from './manifest.ts';
import { parseSchedule } from './schedule.ts';

/** Calls one function by one schedule, asynchronously: a slow run does not hold the next one back. */
export class Scheduler {
  private readonly host: FunctionHost;
  private readonly event: ScheduleEvent;
  private readonly region: string;
  private readonly clock: Clock;
  private readonly chaos: Chaos;
  private cancel: (() => void) | undefined;

  constructor(host: FunctionHost, event: ScheduleEvent, region: string, clock: Clock, chaos: Chaos) {
    this.host = host;
    this.event = event;
    this.region = region;
    this.clock = clock;
    this.chaos = chaos;
  }

  start(): void {
    const schedule = parseSchedule(this.event.schedule, this.clock.now());
    const arm = (after: number): void => {
      const next = schedule.next(after);
      if (next === undefined) return;
      this.cancel = this.clock.after(next - this.clock.now(), () => {
        // Armed from the planned moment, so that no firing is skipped when this one is late.
        arm(next);
        for (let firing = this.chaos.firings(); firing > 0; firing--) void this.fire(next);
      });
    };
    arm(this.clock.now());
  }

  stop(): void {
    this.cancel?.();
  }

  /** Calls the function as the schedule would at this moment. */
  fire(moment = this.clock.now()): ReturnType<FunctionHost['invoke']> {
    const { input } = this.event;
    return this.host.invoke(input ?? scheduledEvent(this.host.definition.name, this.region, moment));
  }
}
