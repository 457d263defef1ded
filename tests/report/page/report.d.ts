// The data a page gives its script; see evalkit/report/page.py and html.py.
interface Tag { values: string[]; codes: number[] }
interface Group { suite: string; target: string; place: string; metric: string; unit: string; gain: number }
interface Outcome { name: string; glyph: string; tone: string }
interface Index {
  groups: Group[]; outcomes: Outcome[]; group: number[]; outcome: number[]; id: string[]; name: string[];
  flaky: number[]; slices: string[]; first: string; before: (number | null)[]; after: (number | null)[]; before_ms: (number | null)[];
  after_ms: (number | null)[]; tags: Record<string, Tag>; candidate: string; baseline: string;
}
interface Mark { source: string; start: number; end: number; text: string; reason: string; value: number | null }
interface ScoreText {
  name: string; signature: string; value: number | null; passed: boolean | null; label: string; reason: string; marks: Mark[];
}
interface TrialText {
  text: string | null; error: string; cut: number; facts: string[]; context: string[]; calls: string[]; scores: ScoreText[];
  turns: TurnText[];
}
interface TurnText {
  user: string; text: string; error: string; cut: number; facts: string[]; context: string[]; calls: string[];
}
interface CaseText {
  row: number; inputs: [string, string][]; expected: string | null; context: string[]; messages: [string, string][];
  before: TrialText[]; after: TrialText[]; turns: [string, string | null][];
}
interface Decision { decision: string; note: string }
type Piece = ["same" | "del" | "ins", string];
type Child = Node | string | null;
