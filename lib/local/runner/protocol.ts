/** What an error of a function looks like to its caller, as Lambda gives it. */
export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace: readonly string[];
}

/** From the runner to the process of a function. */
export interface InvokeMessage {
  readonly requestId: string;
  readonly event: unknown;
  readonly functionName: string;
  readonly functionArn: string;
  readonly memoryMb: number;
  /** Milliseconds since 1970 at which the process is killed. */
  readonly deadline: number;
}

/** From the process of a function to the runner. */
export type ProcessMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'init-error'; readonly error: FunctionError }
  | {
      readonly type: 'result';
      readonly requestId: string;
      /** JSON text, as Lambda carries it. */
      readonly value?: string;
      readonly error?: FunctionError;
      /** The process ends after this answer. */
      readonly last?: boolean;
      /** The most memory that this process has ever held. */
      readonly maximumMemoryMb: number;
    };
