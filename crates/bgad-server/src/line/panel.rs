//! The handshake with a PLC, as a state machine.
//!
//! ```text
//! discrete inputs   0 Ready  1 TriggerAck  2 Busy  3 Done  4 ResultsValid  5 Passed  6 Fault  7 Overrun  8 Review  9 Rejected
//! coils             0 Trigger  1 ResultsAck  2 ClearOverrun
//! input registers   0 heartbeat   1 acquisition   2 the ten bits above   3 verdict: 0 none, 1 OK, 2 REVIEW, 3 NG, 9 fault
//!                   4-5 score, FP32   6-7 OK   8-9 REVIEW   10-11 NG   12-13 faults   14 model version   16-31 part id
//! holding registers 0-15 part id of the next trigger, two characters a register
//!
//! Ready      Trigger ↑   -> TriggerAck, Busy; acquisition + 1        Trigger ↓ -> TriggerAck falls
//! Busy       result      -> Done, ResultsValid and one of Passed, Review, Rejected
//! Busy       no result   -> Done, Fault
//! Done       ResultsAck ↑ -> all of these fall                       ResultsAck ↓ -> Ready
//! not Ready  Trigger ↑   -> Overrun
//! ```
//!
//! Numbers of 32 bits have their high word first. A standing fault (disk, queue, model) drops Ready, ResultsValid and
//! Passed at once and holds Fault. Passed is never on without ResultsValid, and neither together with Fault.

use bgad::verdict::Verdict;

/// Registers of a part id.
pub(crate) const PART_ID: usize = 16;
/// First input register of the part id.
const PART_ID_AT: usize = 16;

/// Coils.
pub(crate) const TRIGGER: u16 = 0;
pub(crate) const RESULTS_ACK: u16 = 1;
pub(crate) const CLEAR_OVERRUN: u16 = 2;
/// Number of coils.
pub(crate) const COILS: usize = 3;

/// A judged part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) verdict: Verdict,
    pub(crate) score: f32,
    pub(crate) version: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Judged(Shown),
    Fault,
}

/// The signals between a PLC and the line.
#[derive(Debug, Default)]
pub(crate) struct Panel {
    /// Whether parts are judged when the PLC asks; else as they come.
    triggered: bool,
    coils: [bool; COILS],
    trigger_ack: bool,
    busy: bool,
    overrun: bool,
    /// The last result, until it is acknowledged.
    result: Option<Told>,
    /// Nothing can be judged at present.
    standing: bool,
    heartbeat: u16,
    acquisition: u16,
    /// OK, REVIEW, NG, faults.
    counts: [u32; 4],
    score: f32,
    version: u16,
    next_part_id: [u16; PART_ID],
    part_id: [u16; PART_ID],
}

impl Panel {
    /// Nothing is ready until the line says so.
    pub(crate) fn new(triggered: bool) -> Panel {
        Panel { triggered, standing: true, ..Panel::default() }
    }

    fn ready(&self) -> bool {
        let waits = self.triggered && (self.busy || self.result.is_some() || self.coils[1]);
        !self.standing && !waits
    }

    /// A coil is written. True if that is a trigger that is taken.
    pub(crate) fn write_coil(&mut self, coil: u16, on: bool) -> bool {
        let Some(before) = self.coils.get(usize::from(coil)).copied() else { return false };
        let rises = on && !before;
        let ready = self.ready();
        self.coils[usize::from(coil)] = on;
        match coil {
            TRIGGER if rises && ready && self.triggered => {
                self.begin();
                self.part_id = self.next_part_id;
                self.trigger_ack = true;
                return true;
            }
            TRIGGER if rises => self.overrun = true,
            TRIGGER if !on => self.trigger_ack = false,
            RESULTS_ACK if rises => self.result = None,
            CLEAR_OVERRUN if rises => self.overrun = false,
            _ => {}
        }
        false
    }

    /// A part is being judged.
    pub(crate) fn begin(&mut self) {
        self.acquisition = self.acquisition.wrapping_add(1);
        self.busy = true;
        self.result = None;
    }

    /// A part that a call asks for; false if the panel is not ready for one.
    pub(crate) fn begin_call(&mut self, part_id: &str) -> bool {
        let ready = !self.standing && !self.busy;
        if ready {
            self.part_id = registers(part_id);
            self.begin();
        }
        ready
    }

    /// A part that came by itself; an earlier result that nobody has acknowledged is lost to the PLC.
    pub(crate) fn begin_unasked(&mut self, part_id: &str) {
        self.overrun |= self.result.is_some();
        self.part_id = registers(part_id);
        self.begin();
    }

    /// The part was judged and its record is on the disk.
    pub(crate) fn finish(&mut self, shown: Shown) {
        self.busy = false;
        self.counts[shown.verdict as usize] = self.counts[shown.verdict as usize].wrapping_add(1);
        self.score = shown.score;
        self.version = u16::try_from(shown.version).unwrap_or(u16::MAX);
        self.result = Some(Told::Judged(shown));
    }

    /// The part could not be judged, or its record not be written.
    pub(crate) fn fail(&mut self) {
        self.busy = false;
        self.counts[3] = self.counts[3].wrapping_add(1);
        self.score = f32::NAN;
        self.result = Some(Told::Fault);
    }

    /// Whether anything can be judged.
    pub(crate) fn set_standing(&mut self, fault: bool) {
        self.standing = fault;
    }

    pub(crate) fn is_standing(&self) -> bool {
        self.standing
    }

    pub(crate) fn beat(&mut self) {
        self.heartbeat = self.heartbeat.wrapping_add(1);
    }

    /// The part id that the PLC gave with the trigger.
    pub(crate) fn part_id(&self) -> Option<String> {
        let bytes: Vec<u8> = self.part_id.iter().flat_map(|register| register.to_be_bytes()).collect();
        let text: String = bytes.into_iter().take_while(|&b| b != 0).map(char::from).collect();
        let text = text.trim().replace(|c: char| !c.is_ascii_graphic() && c != ' ', "?");
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn write_part_id(&mut self, at: usize, values: &[u16]) -> bool {
        let Some(place) = at.checked_add(values.len()).and_then(|end| self.next_part_id.get_mut(at..end))
        else {
            return false;
        };
        place.copy_from_slice(values);
        true
    }

    pub(crate) fn holding(&self) -> &[u16] {
        &self.next_part_id
    }

    pub(crate) fn coils(&self) -> [bool; COILS] {
        self.coils
    }

    /// The discrete inputs.
    pub(crate) fn bits(&self) -> [bool; 10] {
        let shown = match (self.result, self.standing) {
            (Some(Told::Judged(shown)), false) => Some(shown.verdict),
            _ => None,
        };
        [
            self.ready(),
            self.trigger_ack,
            self.busy,
            self.result.is_some(),
            shown.is_some(),
            shown == Some(Verdict::Ok),
            self.standing || self.result == Some(Told::Fault),
            self.overrun,
            shown == Some(Verdict::Review),
            shown == Some(Verdict::Ng),
        ]
    }

    /// The input registers.
    pub(crate) fn inputs(&self) -> [u16; PART_ID_AT + PART_ID] {
        let mut all = [0; PART_ID_AT + PART_ID];
        let bits = self.bits();
        all[0] = self.heartbeat;
        all[1] = self.acquisition;
        all[2] = bits.iter().enumerate().map(|(i, &on)| u16::from(on) << i).sum();
        all[3] = match (bits[6], bits[4], self.result) {
            (true, ..) => 9,
            (_, true, Some(Told::Judged(shown))) => 1 + shown.verdict as u16,
            _ => 0,
        };
        let wide = |all: &mut [u16], at: usize, value: u32| {
            (all[at], all[at + 1]) = ((value >> 16) as u16, value as u16);
        };
        wide(&mut all, 4, self.score.to_bits());
        for (i, &count) in self.counts.iter().enumerate() {
            wide(&mut all, 6 + 2 * i, count);
        }
        all[14] = self.version;
        all[PART_ID_AT..].copy_from_slice(&self.part_id);
        all
    }
}

/// Two characters a register; what is not ASCII becomes `?`, what is too long is cut.
fn registers(text: &str) -> [u16; PART_ID] {
    let mut bytes = [0u8; 2 * PART_ID];
    for (place, c) in bytes.iter_mut().zip(text.chars()) {
        *place = u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?');
    }
    std::array::from_fn(|i| u16::from_be_bytes([bytes[2 * i], bytes[2 * i + 1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Shown = Shown { verdict: Verdict::Ok, score: 1.5, version: 3 };

    /// Names of the discrete inputs that are on.
    fn on(panel: &Panel) -> Vec<&'static str> {
        let names = ["ready", "ack", "busy", "done", "valid", "pass", "fault", "overrun", "review", "reject"];
        names.into_iter().zip(panel.bits()).filter(|(_, on)| *on).map(|(name, _)| name).collect()
    }

    fn ready() -> Panel {
        let mut panel = Panel::new(true);
        assert_eq!(on(&panel), ["fault"], "nothing is fine before the line says so");
        panel.set_standing(false);
        panel
    }

    #[test]
    fn a_part_goes_through_the_handshake() {
        let mut panel = ready();
        assert_eq!(on(&panel), ["ready"]);
        assert!(panel.write_part_id(0, &registers("P-17")[..2]));
        assert!(panel.write_coil(TRIGGER, true));
        assert_eq!((on(&panel), panel.part_id().as_deref()), (vec!["ack", "busy"], Some("P-17")));
        assert!(!panel.write_coil(TRIGGER, false));
        assert_eq!(on(&panel), ["busy"]);
        panel.finish(OK);
        assert_eq!(on(&panel), ["done", "valid", "pass"]);
        let all = panel.inputs();
        assert_eq!((all[1], all[3], all[7], all[14]), (1, 1, 1, 3));
        assert_eq!(f32::from_bits(u32::from(all[4]) << 16 | u32::from(all[5])), 1.5);
        panel.write_coil(RESULTS_ACK, true);
        assert_eq!(on(&panel), Vec::<&str>::new());
        panel.write_coil(RESULTS_ACK, false);
        assert_eq!(on(&panel), ["ready"]);
    }

    #[test]
    fn faults_never_read_as_ok() {
        let mut panel = ready();
        panel.write_coil(TRIGGER, true);
        panel.fail();
        assert_eq!(on(&panel), ["ack", "done", "fault"]);
        assert_eq!(panel.inputs()[3], 9);
        panel.write_coil(TRIGGER, false);
        panel.write_coil(RESULTS_ACK, true);
        panel.write_coil(RESULTS_ACK, false);
        panel.write_coil(TRIGGER, true);
        panel.finish(OK);
        panel.set_standing(true);
        assert_eq!(on(&panel), ["ack", "done", "fault"], "an OK that is shown falls with the disk");
        assert_eq!(panel.inputs()[3], 9);
    }

    #[test]
    fn a_trigger_at_the_wrong_time_is_an_overrun() {
        let mut panel = ready();
        assert!(panel.write_coil(TRIGGER, true));
        assert!(!panel.write_coil(TRIGGER, true), "not a rising edge");
        assert_eq!(on(&panel), ["ack", "busy"]);
        panel.write_coil(TRIGGER, false);
        assert!(!panel.write_coil(TRIGGER, true));
        assert!(on(&panel).contains(&"overrun"));
        panel.write_coil(CLEAR_OVERRUN, true);
        assert!(!on(&panel).contains(&"overrun"));
    }

    /// Whatever a PLC and a line do in whatever order: OK is shown only for a part that was judged OK.
    #[test]
    fn no_order_of_events_shows_an_ok_that_was_not_judged() {
        let mut state = 1u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for triggered in [true, false] {
            let mut panel = Panel::new(triggered);
            let mut judged = None;
            for _ in 0..200_000 {
                match random(8) {
                    0..3 => {
                        if panel.write_coil(random(4) as u16, random(2) == 0) {
                            judged = None;
                        }
                    }
                    3 if !triggered && !panel.busy => {
                        panel.begin_unasked("x");
                        judged = None;
                    }
                    4 if panel.busy => {
                        let verdict = [Verdict::Ok, Verdict::Review, Verdict::Ng][random(3) as usize];
                        panel.finish(Shown { verdict, ..OK });
                        judged = Some(verdict);
                    }
                    5 if panel.busy => {
                        panel.fail();
                        judged = None;
                    }
                    6 => panel.set_standing(random(2) == 0),
                    _ => panel.beat(),
                }
                let bits = panel.bits();
                let (valid, pass, fault) = (bits[4], bits[5], bits[6]);
                assert!(!pass || (valid && !fault && judged == Some(Verdict::Ok)));
                assert!(!valid || judged.is_some());
                assert_eq!(panel.inputs()[3] == 1, pass);
            }
        }
    }
}
