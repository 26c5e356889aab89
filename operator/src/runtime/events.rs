use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use searchop_lifecycle::{Note, NoteType};

use super::Calls;

/// Publishes notes as Kubernetes events. An event that cannot be published is logged and forgotten:
/// telling must never keep the operator from acting.
///
/// Each note is an event of its own. Counting repeated ones up, as kube's recorder does, would show
/// the words of the first for all that follow, and it is the figures in them that people want.
pub struct Events {
    calls: Calls,
    instance: String,
}

impl Events {
    const DEADLINE: Duration = Duration::from_secs(5);
    /// The API server takes this much, in bytes.
    const NOTE_BYTES: usize = 1024;

    /// `instance` names this replica, in at most 128 characters.
    pub fn new(calls: Calls, instance: &str) -> Self {
        Self {
            calls,
            instance: cut(instance, 128).to_owned(),
        }
    }

    pub async fn publish(&self, about: &ObjectReference, notes: &[Note]) {
        for note in notes {
            let event = self.event(about, note, Timestamp::now());
            let reason = note.reason;
            match tokio::time::timeout(Self::DEADLINE, self.calls.create(&event)).await {
                Ok(Ok(_)) => tracing::info!(reason, message = note.message, "told"),
                Ok(Err(error)) => tracing::warn!(%error, reason, "event was not published"),
                Err(_) => tracing::warn!(reason, "event was not published in time"),
            }
        }
    }

    fn event(&self, about: &ObjectReference, note: &Note, now: Timestamp) -> Event {
        let name = about.name.as_deref().unwrap_or("searchop");
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: about.namespace.clone(),
                ..ObjectMeta::default()
            },
            type_: Some(match note.kind {
                NoteType::Normal => "Normal".to_owned(),
                NoteType::Warning => "Warning".to_owned(),
            }),
            reason: Some(note.reason.to_owned()),
            note: Some(cut(&note.message, Self::NOTE_BYTES).to_owned()),
            action: Some("Reconcile".to_owned()),
            regarding: Some(about.clone()),
            reporting_controller: Some("searchop.io/operator".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            event_time: Some(MicroTime(now)),
            ..Event::default()
        }
    }
}

/// The longest start of `text` that has at most `bytes` bytes.
pub fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("über", 1), "");
        assert_eq!(cut("über", 2), "ü");
        assert_eq!(cut("über", 99), "über");
    }
}
