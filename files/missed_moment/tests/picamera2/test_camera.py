from missed_moment.capture.picamera2 import Picamera2Camera
from missed_moment.config import VideoSettings
import threading

def test_x(sensor):
    got=[]; done=threading.Event()
    def sink(p):
        got.append(p)
        if len(got)==60: done.set()
    c=Picamera2Camera(VideoSettings())
    print(c.start(sink))
    assert done.wait(20)
    c.stop()
    print([t for t in sensor.times_ns[:5]],[ (p.pts_ns,p.keyframe) for p in got[:5]])
    print([round((b-a)/1e6,1) for a,b in zip(sensor.times_ns,sensor.times_ns[1:])])
