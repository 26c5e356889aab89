use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use searchop_lifecycle::{Note, NoteType};

/// Publishes notes as Kubernetes events. An event that cannot be published is logged and forgotten:
/// telling must never keep the operator from acting.
pub struct Events {
    recorder: Recorder,
}

impl Events {
    const DEADLINE: Duration = Duration::from_secs(5);
    /// The API server takes this much, in bytes.
    const NOTE_BYTES: usize = 1024;

    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter {
            controller: "searchop".to_owned(),
            instance: Some(instance),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    pub async fn publish(&self, about: &ObjectReference, notes: &[Note]) {
        for note in notes {
            let event = Event {
                type_: match note.kind {
                    NoteType::Normal => EventType::Normal,
                    NoteType::Warning => EventType::Warning,
                },
                reason: note.reason.to_owned(),
                note: Some(cut(&note.message, Self::NOTE_BYTES).to_owned()),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            match tokio::time::timeout(Self::DEADLINE, self.recorder.publish(&event, about)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, reason = note.reason, "event was not published")
                }
                Err(_) => tracing::warn!(reason = note.reason, "event was not published in time"),
            }
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
