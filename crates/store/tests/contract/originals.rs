//! Files that were made of others: both are the message's, and go with it.

use std::sync::Arc;

use switchboard_model::{
    Message,
    file::StoredFile,
    link::{InboundUpdate, LinkedFile, LinkedOriginal},
};
use switchboard_store::Store;

use crate::{
    files::{linked, new_file},
    updates::{of, told},
    world::{ANN, World, later, text_from},
};

/// Uploads a picture as it came, of this size.
async fn came(world: &World, store: &Arc<dyn Store>, size: u64) -> LinkedFile {
    let name = Some("IMG_1.HEIC".to_owned());
    let file = StoredFile { filename: name, size, ..new_file("image/heic", later(0)) };
    store.create_bridge_file(world.bridge, world.line, file.clone()).await.unwrap();
    linked(&file, None)
}

/// Uploads what was made of it.
async fn made(world: &World, store: &Arc<dyn Store>, size: u64, of: &LinkedFile) -> LinkedFile {
    let name = Some("IMG_1.jpg".to_owned());
    let file = StoredFile { filename: name, size, ..new_file("image/jpeg", later(0)) };
    store.create_bridge_file(world.bridge, world.line, file.clone()).await.unwrap();
    let LinkedFile { file_id, filename, mime_type, size, .. } = of.clone();
    let original = Some(LinkedOriginal { file_id, filename, mime_type, size });
    LinkedFile { original, ..linked(&file, None) }
}

fn with(file: &LinkedFile) -> InboundUpdate {
    InboundUpdate { attachments: Some(vec![file.clone()]), ..of("g1") }
}

fn ids(message: &Message) -> Vec<switchboard_model::id::Id<switchboard_model::File>> {
    let mut ids: Vec<_> = message.attachments.iter().flat_map(|file| file.file_ids()).collect();
    ids.sort();
    ids
}

pub(crate) async fn both_are_the_messages_and_go_with_it(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    let original = came(&world, &store, 10).await;
    let file = made(&world, &store, 20, &original).await;
    let message = told(&world, with(&file)).await.unwrap();
    let mut both = [original.file_id, file.file_id];
    both.sort();
    assert_eq!(ids(&message), both);
    let shown = message.attachments[0].original.as_ref().unwrap();
    assert_eq!(
        (shown.filename.as_deref(), shown.mime_type.as_deref(), shown.size),
        (Some("IMG_1.HEIC"), Some("image/heic"), Some(10))
    );
    assert!(store.forget_files(later(99), 10).await.unwrap().is_empty(), "both are referred to");
    for id in both {
        assert!(store.file(world.account, None, id).await.unwrap().is_some());
    }
    let back = InboundUpdate { unsent_at: Some(later(40)), ..of("g1") };
    assert!(told(&world, back).await.unwrap().attachments.is_empty());
    store.forget_left_files(later(50), later(0), 10).await.unwrap();
    let mut gone = store.forget_left_files(later(60), later(55), 10).await.unwrap();
    gone.sort();
    assert_eq!(gone, both);
}

/// A bridge that tells again may have made another file of the same, or none.
pub(crate) async fn what_came_decides_what_is_new(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    // At first it could not be converted.
    let original = came(&world, &store, 10).await;
    assert_eq!(told(&world, with(&original)).await.unwrap().attachments[0].original, None);
    let again = came(&world, &store, 10).await;
    let converted = made(&world, &store, 20, &again).await;
    let message = told(&world, with(&converted)).await.unwrap();
    assert_eq!(message.attachments[0].size, Some(20));
    let third = came(&world, &store, 10).await;
    let otherwise = made(&world, &store, 21, &third).await;
    for same in [&converted, &otherwise, &third] {
        assert_eq!(told(&world, with(same)).await, None);
    }
    let other = came(&world, &store, 11).await;
    assert_eq!(told(&world, with(&other)).await.unwrap().attachments[0].size, Some(11));
}

pub(crate) async fn one_that_is_not_the_lines_has_no_bytes(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    let elsewhere = new_file("image/heic", later(0));
    store.create_bridge_file(world.bridge, world.other_line, elsewhere.clone()).await.unwrap();
    let file = made(&world, &store, 20, &linked(&elsewhere, None)).await;
    let message = told(&world, with(&file)).await.unwrap();
    assert_eq!(message.attachments[0].file_id, Some(file.file_id));
    assert_eq!(message.attachments[0].original.as_ref().unwrap().file_id, None);
    // One that names itself is counted once, and is no original.
    let mut own = came(&world, &store, 12).await;
    let LinkedFile { file_id, filename, mime_type, size, .. } = own.clone();
    own.original = Some(LinkedOriginal { file_id, filename, mime_type, size });
    let message = told(&world, with(&own)).await.unwrap();
    assert_eq!(message.attachments[0].original, None);
}
